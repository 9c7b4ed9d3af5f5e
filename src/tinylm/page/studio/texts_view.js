/**
 * Texts for a new model: dropped, chosen or pasted, and what was read of each.
 */

import { element, fold, problemLine, textBox } from "../views/dom.js";
import { remove, route, upload } from "./api.js";
import { actionButton, attempting, bytesInWords, counted } from "./controls.js";

/** What was read of a text (studio/texts.py).
 * @typedef {{text: string, name: string, characters: number, bytes: number, documents: number, odd_bytes: number,
 *   repeated_share: number, first: string, notes?: string[]}} GivenText */

const MUCH_REPEATED = 0.05; // the share from which on a text is said to repeat itself
const LITTLE = 5000; // characters under which a text is said to be short

/** @param {GivenText[]} before texts that were given earlier @param {() => void} changed */
export function textsView(before, changed) {
  /** @type {Map<string, {text: GivenText, box: HTMLInputElement}>} */
  const rows = new Map();
  const list = element("ul", { class: "texts" });
  const problem = problemLine();
  const status = element("p", { class: "soft", role: "status" });
  const add = (/** @type {GivenText} */ text, /** @type {boolean} */ isChosen) => {
    const box = element("input", { type: "checkbox", checked: isChosen, id: `use-${text.text}` });
    box.addEventListener("change", changed);
    const item = textItem(text, box, problem, () => {
      rows.delete(text.text);
      item.remove();
      changed();
    });
    rows.set(text.text, { text, box });
    list.append(item);
  };
  const take = async (/** @type {{name: string, content: Blob}[]} */ files) => {
    for (const { name, content } of files) {
      status.textContent = `Reading ${name} …`;
      await attempting(problem, async () => add(await upload(name, content), true));
    }
    status.textContent = "";
    changed();
  };
  before.forEach((text) => add(text, false));
  return {
    content: element("div", {}, dropZone(take), pasteBox(take), status, problem, list),
    chosen: () => [...rows.values()].filter(({ box }) => box.checked).map(({ text }) => text),
  };
}

/** @typedef {(files: {name: string, content: Blob}[]) => Promise<void>} TakeTexts */

/** @param {TakeTexts} take */
function dropZone(take) {
  const input = element("input", { type: "file", multiple: true, class: "unseen", id: "files" });
  const fromFiles = (/** @type {FileList | null | undefined} */ files) =>
    take(Array.from(files ?? [], (file) => ({ name: file.name, content: file })));
  input.addEventListener("change", async () => {
    await fromFiles(input.files);
    input.value = "";
  });
  const zone = element(
    "label",
    { class: "drop", htmlFor: input.id },
    element("strong", {}, "Drop text files here"),
    element("span", {}, " or click to choose them"),
    element("span", { class: "soft" }, "plain text, Markdown, HTML, EPUB, tables, chats, code; in any encoding"),
  );
  const isOver = (/** @type {boolean} */ over) => (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    zone.classList.toggle("over", over);
  };
  zone.addEventListener("dragover", isOver(true));
  zone.addEventListener("dragleave", isOver(false));
  zone.addEventListener("drop", (event) => {
    isOver(false)(event);
    fromFiles(event.dataTransfer?.files);
  });
  return element("div", {}, input, zone);
}

/** @param {TakeTexts} take */
function pasteBox(take) {
  const box = textBox("pasted", 5);
  const use = element("button", { type: "button", disabled: true }, "Use this text");
  box.addEventListener("input", () => {
    use.disabled = !box.value.trim();
  });
  use.addEventListener("click", async () => {
    use.disabled = true;
    await take([{ name: "pasted.txt", content: new Blob([box.value], { type: "text/plain" }) }]);
    box.value = "";
  });
  return fold(
    "or paste one",
    element("label", { htmlFor: box.id }, "The text"),
    box,
    element("div", { class: "buttons" }, use),
  );
}

/** @param {GivenText} text @param {HTMLInputElement} box @param {HTMLElement} problem @param {() => void} forget */
function textItem(text, box, problem, forget) {
  const removal = actionButton("Remove", problem, async () => {
    await remove(route("texts", text.text));
    forget();
  });
  removal.setAttribute("aria-label", `Remove ${text.name}`);
  return element(
    "li",
    {},
    element("div", { class: "row" }, element("label", { class: "check" }, box, element("b", {}, text.name)), removal),
    element("p", { class: "soft" }, whatWasRead(text)),
    ...cautionsOn(text).map((sentence) => element("p", { class: "care" }, sentence)),
    fold("how it begins", element("pre", { dir: "auto" }, text.first)),
  );
}

/** @param {GivenText} text */
function whatWasRead({ characters, bytes, documents }) {
  return `${counted(characters, "character")} in ${counted(documents, "document")}, ${bytesInWords(bytes)}`;
}

/** Sentences on what may spoil a model. @param {GivenText} text */
function cautionsOn({ characters, odd_bytes: odd, repeated_share: repeated, notes = [] }) {
  const found = [...notes];
  if (characters < LITTLE) found.push("This is very little to learn from: add more, if you have more.");
  if (odd) found.push(`${counted(odd, "byte")} could not be read as text, and became �.`);
  if (repeated > MUCH_REPEATED) {
    const share = Math.round(100 * repeated);
    found.push(`${share} % of it are lines that stand there more than once: the model may learn them by heart.`);
  }
  return found;
}

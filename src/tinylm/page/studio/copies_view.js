/**
 * The copy meter: what of a text stands word for word in the text that the model learned from, and where.
 */

import { element, panel } from "../views/dom.js";
import { Refused, route, send } from "./api.js";

/** @typedef {import("../session.js").Session} Session */
/** A stretch that was found, in characters of the text. @typedef {{start: number, end: number, source: string, line:
 *   number, text: string}} CopiedSpan */

const ABOUT = "What it wrote, looked up in the text that it learned from. Copied stretches are underlined above.";

/** @param {string} id @param {string} name @param {Session} session */
export function copiesView(id, name, session) {
  const told = element("p", { class: "soft", role: "status" }, "Write something first.");
  const list = element("ul", { class: "copies" });
  /** @type {HTMLElement | undefined} */
  let tokens;
  let before = "";
  session.listen(async () => {
    const { ids } = session.reading;
    if (session.isBusy || ids.length <= session.nPrompt) return;
    const text = session.tokenizer.decode(ids);
    if (text === before) return;
    before = text;
    try {
      const spans = /** @type {CopiedSpan[]} */ ((await send(route("models", id, "copied"), { text })).spans);
      if (text !== before) return;
      if (tokens) underlineCopies(tokens, spans);
      list.replaceChildren(...spans.map((span) => copyItem(text, span)));
      told.textContent = spans.length ? ABOUT : "Nothing of it stands in the text that it learned from.";
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      told.textContent = error.message;
    }
  });
  return {
    content: panel(name ? `Copied by ${name}` : "Copied", "", told, list),
    underline: (/** @type {HTMLElement} */ box) => {
      tokens = box;
    },
  };
}

/** Underlines the tokens that lie in a stretch. @param {HTMLElement} box @param {CopiedSpan[]} spans */
function underlineCopies(box, spans) {
  const tokens = [...box.querySelectorAll(".token:not(.special)")];
  const copied = copiedPieces(
    tokens.map(({ textContent }) => textContent ?? ""),
    spans,
  );
  tokens.forEach((token, i) => token.classList.toggle("copied", copied[i]));
}

/** True for each piece of a text that lies in a stretch, wholly or in part.
 * @param {string[]} pieces @param {{start: number, end: number}[]} spans */
export function copiedPieces(pieces, spans) {
  let end = 0;
  return pieces.map((piece) => {
    const start = end;
    end += [...piece].length; // characters, as Python counts them
    return spans.some((span) => span.start < end && start < span.end);
  });
}

/** @param {string} text @param {CopiedSpan} span */
function copyItem(text, { start, end, source, line, text: sourceLine }) {
  const copied = [...text].slice(start, end).join("");
  return element(
    "li",
    {},
    element("q", { dir: "auto" }, copied),
    element("span", { class: "soft" }, ` in ${source}, line ${line.toLocaleString("en")}: `),
    element("span", { class: "soft", dir: "auto" }, sourceLine),
  );
}

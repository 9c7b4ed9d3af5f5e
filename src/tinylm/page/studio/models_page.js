/**
 * Models: a card for each, and the bin.
 */

import { element, problemLine } from "../views/dom.js";
import { get, remove, route, send } from "./api.js";
import { actionButton, attempting, bitsBars, bytesInWords, dateInWords, linkButton, pageHeading } from "./controls.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {{undo: string, name: string}} Binned */

const LOOK_AGAIN = 3000; // milliseconds after which the cards are asked for again
const STATES = { training: "in training", stopped: "stopped; it can go on", failed: "failed", ready: "" };

/** @param {Record<string, string>} labels of baselines @returns {Promise<StudioPage>} */
export async function modelsPage(labels) {
  const problem = problemLine();
  const told = element("p", { class: "told", role: "status" });
  const cards = element("div", { class: "cards" });
  const bin = element("div", {});
  let seen = "";
  const draw = async (/** @type {boolean} */ isForced = false) => {
    const [{ models }, { trash }] = await Promise.all([get("/api/models"), get("/api/trash")]);
    const now = JSON.stringify([models, trash]);
    if (now === seen && !isForced) return; // a name that is being typed stays
    seen = now;
    const again = { problem, told, redraw: () => draw(true) };
    cards.replaceChildren(
      ...(models.length ? models.map((/** @type {Card} */ card) => cardView(card, labels, again)) : [emptyView()]),
    );
    bin.replaceChildren(binView(trash, again));
  };
  await draw(true);
  const timer = setInterval(() => {
    if (!cards.querySelector("input")) attempting(problem, () => draw());
  }, LOOK_AGAIN);
  const head = element(
    "header",
    { class: "row" },
    pageHeading("Your models"),
    linkButton("#/new", "New model", "main"),
  );
  return { content: element("div", {}, head, problem, told, cards, bin), leave: () => clearInterval(timer) };
}

function emptyView() {
  return element(
    "section",
    { class: "empty" },
    element("p", {}, "There is no model here yet."),
    element(
      "p",
      { class: "soft" },
      "A model learns to write from a text of yours: a diary, a book, letters, code. " +
        "Choose “New model”, give it a text and some minutes, and watch it learn. Nothing leaves this machine.",
    ),
  );
}

/** @typedef {{problem: HTMLElement, told: HTMLElement, redraw: () => Promise<void>}} Again */

/** @param {Card} card @param {Record<string, string>} labels @param {Again} again */
function cardView(card, labels, again) {
  const { id, name, text, state, error } = card;
  const title = element("h2", {}, element("a", { href: `#/model/${encodeURIComponent(id)}` }, name));
  const stateName = STATES[/** @type {keyof typeof STATES} */ (state)] ?? state;
  return element(
    "article",
    { class: "card", "data-model": id },
    title,
    element("p", { class: "soft" }, text ? `learned from ${text}` : ""),
    stateName && element("p", { class: `state ${state}` }, stateName),
    error && element("p", { class: "problem" }, error),
    element("p", { class: "soft" }, factsOf(card)),
    barsOf(card, labels),
    element("div", { class: "buttons" }, ...cardButtons(card, title, again)),
  );
}

/** @param {Card} card */
function factsOf({ parameters, size_bytes: size, date }) {
  const facts = [parameters && `${parameters.toLocaleString("en")} parameters`, size && bytesInWords(size)];
  return [...facts, date && dateInWords(date)].filter(Boolean).join(" · ");
}

/** @param {Card} card @param {Record<string, string>} labels */
function barsOf({ bits_per_byte: bits, baselines }, labels) {
  if (bits === null || bits === undefined || !baselines) return null;
  /** @type {[string, number, boolean][]} */
  const rows = Object.entries(baselines).map(([name, value]) => [labels[name] ?? name, value, false]);
  return element(
    "figure",
    {},
    bitsBars([["this model", bits, true], ...rows]),
    element("figcaption", { class: "soft" }, "bits for each byte of text; shorter is better"),
  );
}

/** @param {Card} card @param {HTMLElement} title @param {Again} again */
function cardButtons({ id, name, state, has_weights: hasWeights }, title, { problem, told, redraw }) {
  const place = `#/model/${encodeURIComponent(id)}`;
  const bin = async () => {
    const { undo } = await remove(route("models", id));
    const back = async () => {
      await send(route("trash", undo), {});
      told.textContent = `“${name}” is back.`;
      await redraw();
    };
    told.replaceChildren(`“${name}” is in the bin. `, actionButton("Undo", problem, back));
    await redraw();
  };
  const labelled = (/** @type {HTMLElement} */ button, /** @type {string} */ verb) => {
    button.setAttribute("aria-label", `${verb} ${name}`);
    return button;
  };
  const rename = actionButton("Rename", problem, async () => renameField(id, name, title, { problem, told, redraw }));
  const buttons = [labelled(rename, "Rename"), labelled(actionButton("Delete", problem, bin), "Delete")];
  if (state === "training") return [linkButton(`${place}/live`, "Watch", "main")];
  if (hasWeights) return [linkButton(`${place}/write`, "Open", "main"), ...buttons];
  return [linkButton(`${place}/live`, "What happened"), ...buttons];
}

/** Puts a field for a new name in the place of a title.
 * @param {string} id @param {string} name @param {HTMLElement} title @param {Again} again */
function renameField(id, name, title, { problem, told, redraw }) {
  const field = element("input", { type: "text", value: name, "aria-label": `The new name of ${name}` });
  const save = async () => {
    if (field.value.trim() !== name) {
      await send(route("models", id), { name: field.value.trim() }, { method: "PATCH" });
      told.textContent = `“${name}” is now “${field.value.trim()}”.`;
    }
    await redraw();
  };
  const form = element("form", { class: "buttons" }, field, element("button", { type: "submit" }, "Save"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempting(problem, save);
  });
  form.append(actionButton("Cancel", problem, redraw));
  title.replaceWith(form);
  field.focus();
  field.select();
}

/** @param {Binned[]} trash @param {Again} again */
function binView(trash, { problem, told, redraw }) {
  if (!trash.length) return element("span");
  const row = (/** @type {Binned} */ { undo, name }) => {
    const back = async () => {
      await send(route("trash", undo), {});
      told.textContent = `“${name}” is back.`;
      await redraw();
    };
    return element("li", {}, element("span", {}, name), actionButton("Put back", problem, back));
  };
  return element(
    "details",
    { class: "bin" },
    element("summary", {}, `The bin (${trash.length})`),
    element("ul", {}, ...trash.map(row)),
  );
}

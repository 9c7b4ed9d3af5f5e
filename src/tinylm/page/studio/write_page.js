/**
 * Writing with a model, or with two side by side; what stands in the training text word for word is underlined.
 */

import { element, problemLine } from "../views/dom.js";
import { nextView } from "../views/next_view.js";
import { openingView } from "../views/opening_view.js";
import { settingsView } from "../views/settings_view.js";
import { attempting } from "./controls.js";
import { copiesView } from "./copies_view.js";
import { openModel } from "./model_store.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {import("../session.js").Session} Session */

/** @param {Card} card @param {Card[]} cards of all models @returns {Promise<StudioPage>} */
export async function writePage(card, cards) {
  const problem = problemLine();
  const place = element("div", {});
  const others = cards.filter(({ id, in_browser: inBrowser }) => inBrowser && id !== card.id);
  const other = element("select", { id: "other" }, element("option", { value: "" }, "no other model"));
  other.append(...others.map(({ id, name }) => element("option", { value: id }, name)));
  const show = async () => {
    const beside = others.find(({ id }) => id === other.value);
    const shown = beside ? [card, beside] : [card];
    const opened = await Promise.all(shown.map(openModel));
    const sessions = opened.map(({ session }) => session);
    for (const each of sessions) each.settings = opened[0].settings;
    const [{ tokenizer, reading, nPrompt }] = sessions;
    if (beside) await sessions[1].setPrompt(tokenizer.decode(reading.ids.slice(0, nPrompt)));
    place.replaceChildren(columns(shown, sessions));
    for (const each of sessions) each.changed();
  };
  other.addEventListener("change", () => attempting(problem, show));
  await show();
  const choice = element(
    "p",
    { class: "soft" },
    element("label", { htmlFor: other.id }, "Beside it: "),
    others.length ? other : "nothing yet; a second model can be compared here",
  );
  return { content: element("div", {}, choice, problem, place) };
}

/** @param {Card[]} cards @param {Session[]} sessions */
function columns(cards, sessions) {
  const copies = cards.map(({ id, name }, i) => copiesView(id, cards.length > 1 ? name : "", sessions[i]));
  const write = element("div", { class: "write" }, openingView(sessions));
  write.querySelectorAll("[role=listbox]").forEach((box, i) => copies[i].underline(/** @type {HTMLElement} */ (box)));
  return element(
    "div",
    { class: "columns" },
    write,
    element("div", { class: "side" }, ...sessions.map(nextView), settingsView(sessions)),
    element("div", { class: "inside" }, ...copies.map(({ content }) => content)),
  );
}

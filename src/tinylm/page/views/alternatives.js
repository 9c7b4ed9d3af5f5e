/**
 * What could have stood in the place of the token under the pointer, or of the one that has the focus.
 */

import { softmax } from "../sampling/filters.js";
import { element, percent, uniqueId, visibleText } from "./dom.js";
import { likeliest } from "./ranking.js";
import { indexOf } from "./token_list.js";

/** @typedef {import("../session.js").Session} Session */

const ALTERNATIVES = 5;

/** A tip beside the tokens in a box, which shows what else could have stood there.
 * @param {Session} session @param {HTMLElement} box */
export function alternativesTip(session, box) {
  const tip = element("div", { class: "tip", role: "tooltip", id: uniqueId("alternatives"), hidden: true });
  const hide = () => {
    tip.hidden = true;
  };
  const show = (/** @type {Event} */ event) => {
    const index = indexOf(event.target);
    const logits = index > 0 ? session.reading.logits[index - 1] : undefined;
    if (!logits || !(event.target instanceof HTMLElement)) return hide();
    const probs = softmax(logits);
    tip.replaceChildren(
      ...likeliest(probs, ALTERNATIVES).map((id) => row(session, id, probs[id], session.reading.ids[index])),
    );
    event.target.setAttribute("aria-describedby", tip.id);
    tip.hidden = false;
    beside(tip, event.target);
  };
  box.addEventListener("pointerover", show);
  box.addEventListener("focusin", show);
  box.addEventListener("pointerleave", hide);
  box.addEventListener("focusout", hide);
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  return tip;
}

/**
 * @param {Session} session
 * @param {number} id
 * @param {number} probability
 * @param {number} actual the id that is there
 */
function row(session, id, probability, actual) {
  return element(
    "div",
    { class: id === actual ? "actual" : "" },
    element("span", {}, visibleText(session.tokenizer.token(id))),
    element("span", {}, percent(probability)),
  );
}

/** Puts a tip under an element, within the window. @param {HTMLElement} tip @param {HTMLElement} target */
function beside(tip, target) {
  const place = target.getBoundingClientRect();
  const left = Math.max(8, Math.min(place.left, innerWidth - tip.offsetWidth - 8));
  const below = place.bottom + 6;
  const top = below + tip.offsetHeight > innerHeight ? place.top - tip.offsetHeight - 6 : below;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${top}px`);
}

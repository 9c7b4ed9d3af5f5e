/**
 * What could have stood in the place of the token under the pointer, or of the one that has the focus.
 */

import { softmax } from "../sampling/filters.js";
import { element, percent, visibleText } from "./dom.js";
import { likeliest } from "./ranking.js";

/** @typedef {import("../session.js").Session} Session */

const ALTERNATIVES = 5;

/** @param {EventTarget | null} target @returns {number} the index of a token; -1 for anything else */
export function indexOf(target) {
  return target instanceof HTMLElement && target.dataset.index !== undefined ? Number(target.dataset.index) : -1;
}

/** Shows alternatives beside the tokens in a box. Returns a function that hides them.
 * @param {Session} session @param {HTMLElement} box */
export function showAlternatives(session, box) {
  const tip = element("div", { class: "tip", role: "tooltip", id: "alternatives", hidden: true });
  document.body.append(tip);
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
  return hide;
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

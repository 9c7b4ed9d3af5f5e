/**
 * A text as a list of tokens, each coloured by its probability; one is marked, by the pointer or by keys.
 */

import { element, percent } from "./dom.js";

const SURPRISE = 10; // bits at which a colour is deepest

/** @typedef {{index: number, id: number, text: string, name: string, probability: number | null | undefined, style?:
 *   string}} ShownToken */

/** A box for tokens. @param {(index: number) => void} choose is called with the index of a token that was chosen */
export function tokenList(choose) {
  const box = element("div", {
    class: "text",
    role: "listbox",
    "aria-label": "The text, token by token",
    dir: "auto",
  });
  const take = (/** @type {EventTarget | null} */ target) => {
    const index = indexOf(target);
    if (index >= 0) choose(index);
  };
  box.addEventListener("click", (event) => take(event.target));
  box.addEventListener("keydown", (event) => steer(box, event, take));
  return box;
}

/** A token. @param {ShownToken} token */
export function tokenItem({ index, id, text, name, probability, style = "" }) {
  const isKnown = probability !== undefined && probability !== null;
  const surprise = isKnown ? Math.min(1, -Math.log2(probability) / SURPRISE) : 0;
  return element(
    "span",
    {
      class: `token ${style}`,
      role: "option",
      tabIndex: -1,
      "aria-label": isKnown ? `${name}, ${percent(probability)}` : name,
      "data-index": index,
      "data-id": id,
      style: { "--surprise": surprise.toFixed(3) },
    },
    text,
  );
}

/** The index of a token; -1 for anything else. @param {EventTarget | null} target */
export function indexOf(target) {
  return target instanceof HTMLElement && target.dataset.index !== undefined ? Number(target.dataset.index) : -1;
}

/** Marks one token. @param {HTMLElement} box @param {number} index */
export function markToken(box, index) {
  for (const each of box.querySelectorAll("[aria-selected=true]")) each.setAttribute("aria-selected", "false");
  box.children[index]?.setAttribute("aria-selected", "true");
  if (!box.querySelector("[tabindex='0']")) box.children[0]?.setAttribute("tabindex", "0");
}

/** The legend of the colours. @param {string} about what a click does */
export function surpriseLegend(about) {
  const shades = [0, 0.25, 0.5, 0.75, 1].map((depth) =>
    element("i", { class: "token", style: { "--surprise": depth } }),
  );
  return element("p", { class: "legend soft" }, "expected ", ...shades, ` surprising. ${about}`);
}

/** Moves among tokens by keys.
 * @param {HTMLElement} box @param {KeyboardEvent} event @param {(target: EventTarget | null) => void} take */
function steer(box, event, take) {
  const index = indexOf(event.target);
  if (index < 0) return;
  const last = box.children.length - 1;
  /** @type {Record<string, number>} */
  const targets = {
    ArrowLeft: index - 1,
    ArrowUp: index - 1,
    ArrowRight: index + 1,
    ArrowDown: index + 1,
    Home: 0,
    End: last,
  };
  if (event.key === "Enter" || event.key === " ") take(event.target);
  else if (!(event.key in targets)) return;
  event.preventDefault();
  const next = box.children[Math.max(0, Math.min(last, targets[event.key] ?? index))];
  if (!(next instanceof HTMLElement)) return;
  box.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
  next.tabIndex = 0;
  next.focus();
}

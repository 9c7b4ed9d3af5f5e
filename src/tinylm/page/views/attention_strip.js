/**
 * A text, shaded by the shares of attention that one of its tokens gives to those before it.
 */

import { element, percent, visibleText } from "./dom.js";

const NAMED = 6; // tokens that are named in words

/** @typedef {{layer: number, head: number}} Head */

/** A strip, and what draws it anew. */
export function attentionStrip() {
  const strip = element("div", { class: "text strip", role: "img" });
  const inWords = element("p", { class: "soft" });
  strip.setAttribute("aria-label", "The text, shaded by shares of attention");
  /** @param {Head} head @param {string[]} tokens @param {ArrayLike<number>} shares of the query
   * @param {number} query */
  const draw = ({ layer, head }, tokens, shares, query) => {
    const names = tokens.map(visibleText);
    strip.replaceChildren(
      ...names.map((name, key) =>
        element(
          "span",
          { class: key === query ? "token query" : "token", style: { "--share": (shares[key] ?? 0).toFixed(3) } },
          name,
        ),
      ),
    );
    const order = Array.from(shares, (_, key) => key).sort((a, b) => shares[b] - shares[a]);
    const most = order.slice(0, NAMED).filter((key) => shares[key] > 0);
    const named = most.map((key) => `“${names[key]}” ${percent(shares[key])}`).join(", ");
    inWords.textContent = `Layer ${layer}, head ${head}: at “${names[query]}” it takes from ${named}.`;
  };
  return { element: element("div", {}, strip, inWords), draw };
}

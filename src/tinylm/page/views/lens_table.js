/**
 * The table of a lens: a column for each token of a text, a row for each layer, and in each cell the likeliest token.
 */

import { element, percent, visibleText } from "./dom.js";

/** @typedef {{token: string, probability: number}} Guess */

/** Fills a table. @param {HTMLTableElement} table @param {string[]} names of the tokens
 * @param {{name: string, guesses: (Guess | undefined)[]}[]} rows the last layer first
 * @param {number} [marked] column */
export function fillLens(table, names, rows, marked = -1) {
  const columnStyle = (/** @type {number} */ column) => ({ class: column === marked ? "marked" : "" });
  const head = names.map((name, i) => element("th", { scope: "col", ...columnStyle(i) }, visibleText(name)));
  table.replaceChildren(
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "after"), ...head)),
    element(
      "tbody",
      {},
      ...rows.map(({ name, guesses }) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...guesses.map((each, i) => cell(each, columnStyle(i))),
        ),
      ),
    ),
  );
}

/** @param {Guess | undefined} guess @param {Record<string, unknown>} style */
function cell(guess, style) {
  if (!guess) return element("td");
  return element(
    "td",
    { ...style, style: { "--share": guess.probability.toFixed(3) }, title: percent(guess.probability) },
    visibleText(guess.token),
    element("small", {}, percent(guess.probability)),
  );
}

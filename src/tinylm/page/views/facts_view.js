/**
 * The model in words: its card, its sizes, and the names of its activations. All of it comes from Python.
 */

import { element, fold } from "./dom.js";

/** @typedef {import("../session.js").Facts} Facts */

/** @param {Facts} facts */
export function factsView(facts) {
  return element(
    "section",
    { class: "facts", "aria-label": "About the model" },
    facts.card && fold("Model card", element("pre", { dir: "auto" }, facts.card)),
    fold("Settings of the model", table(Object.entries(facts.config).map(([name, value]) => [name, String(value)]))),
    fold(
      "Names of what it computes",
      element("p", { class: "soft" }, "Each activation has one name, here and in tinylm. " + "Their axes:"),
      table(facts.axes.map(({ letter, about, size }) => [letter, about + (size ? `: ${size}` : "")])),
      table(facts.taps.map(({ name, shape, about }) => [name, shape, about])),
    ),
  );
}

/** @param {string[][]} rows */
function table(rows) {
  return element(
    "div",
    { class: "scroll" },
    element(
      "table",
      {},
      element(
        "tbody",
        {},
        ...rows.map(([name, ...cells]) =>
          element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))),
        ),
      ),
    ),
  );
}

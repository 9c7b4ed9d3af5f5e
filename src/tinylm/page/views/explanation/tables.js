/**
 * Tables and bars of numbers.
 */

import { element } from "../dom.js";

/** @typedef {import("../dom.js").Child} Child */

/** A table with a row of headings. @param {string[]} headings @param {Child[][]} rows the first cell names the row */
export function numberTable(headings, rows) {
  return scrolling(
    element(
      "table",
      { class: "numbers" },
      element("thead", {}, element("tr", {}, ...headings.map((each) => element("th", { scope: "col" }, each)))),
      element(
        "tbody",
        {},
        ...rows.map(([name, ...cells]) =>
          element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((each) => element("td", {}, each))),
        ),
      ),
    ),
  );
}

/** A table that is scrolled where it is too wide. @param {HTMLElement} table */
export function scrolling(table) {
  return element("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "A table" }, table);
}

/** A bar to the right of an axis, or to the left of it. @param {number} share from -1 to 1 */
export function twoSidedBar(share) {
  const style = { "--width": Math.abs(share), "--left": share < 0 ? 0.5 - Math.abs(share) / 2 : 0.5 };
  return element("i", { class: share < 0 ? "two-sided less" : "two-sided", style });
}

/** A number with its sign. @param {number} value */
export function withSign(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

/** A cell that is shaded by a share. @param {number} share from 0 to 1 @param {string} text */
export function shaded(share, text) {
  return element("span", { class: "shaded", style: { "--share": Math.max(0, Math.min(1, share)).toFixed(3) } }, text);
}

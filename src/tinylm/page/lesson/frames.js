/**
 * Pictures with several frames, of which one is seen: chosen by a slider, or by the cells of a map.
 */

import { element } from "../views/dom.js";

/** A picture that the reader can change. @param {HTMLElement} figure as Python wrote it (learn/html/picture.py) */
export function openPicture(figure) {
  const frames = /** @type {HTMLElement[]} */ ([...figure.querySelectorAll(".frame")]);
  const cells = /** @type {SVGGElement[]} */ ([...figure.querySelectorAll(".cell")]);
  const start = Number(figure.dataset.start);
  /** @param {number} chosen */
  const show = (chosen) => {
    frames.forEach((frame, number) => {
      frame.hidden = number !== chosen;
    });
  };
  if (figure.dataset.slider && frames.length > 1) frames[0].before(slider(figure.dataset.slider, frames, start, show));
  if (cells.length) openMap(cells, start, show);
}

/** @param {string} name @param {HTMLElement[]} frames @param {number} start @param {(chosen: number) => void} show */
function slider(name, frames, start, show) {
  const output = element("output", {}, frames[start].dataset.name);
  const input = element("input", { type: "range", min: 0, max: frames.length - 1, step: 1, value: start });
  input.addEventListener("input", () => {
    const frame = frames[input.valueAsNumber];
    output.textContent = frame.dataset.name ?? "";
    input.setAttribute("aria-valuetext", frame.dataset.name ?? "");
    show(input.valueAsNumber);
  });
  return element("label", { class: "slider" }, name, input, output);
}

/** Cells as buttons, of which one can be reached by Tab and the others by the arrows.
 * @param {SVGGElement[]} cells @param {number} start @param {(chosen: number) => void} show */
function openMap(cells, start, show) {
  const frameOf = (/** @type {SVGGElement} */ cell) => Number(cell.dataset.frame);
  /** @param {SVGGElement} chosen */
  const choose = (chosen) => {
    for (const cell of cells) {
      cell.setAttribute("aria-pressed", String(frameOf(cell) === frameOf(chosen)));
      cell.setAttribute("tabindex", cell === chosen ? "0" : "-1");
    }
    show(frameOf(chosen));
  };
  for (const cell of cells) {
    cell.setAttribute("role", "button");
    cell.setAttribute("aria-label", cell.dataset.name ?? "");
    cell.addEventListener("click", () => choose(cell));
    cell.addEventListener("keydown", (event) => {
      const next = event.key === "Enter" || event.key === " " ? cell : neighbour(cells, cell, event.key);
      if (!next) return;
      event.preventDefault();
      choose(next);
      next.focus();
    });
  }
  choose(cells.find((cell) => frameOf(cell) === start) ?? cells[0]);
}

/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The cell beside another. @param {SVGGElement[]} cells @param {SVGGElement} cell @param {string} key */
function neighbour(cells, cell, key) {
  const [down, right] = MOVES[key] ?? [];
  if (down === undefined || right === undefined) return undefined;
  const row = Number(cell.dataset.row) + down;
  const column = Number(cell.dataset.column) + right;
  return cells.find((each) => Number(each.dataset.row) === row && Number(each.dataset.column) === column);
}

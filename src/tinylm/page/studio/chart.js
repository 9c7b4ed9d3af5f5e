/**
 * The chart of a run: the losses over the steps, and the baselines as lines across.
 */

import { svg } from "../views/svg.js";
import { smoothed } from "./run_history.js";

/** @typedef {import("./run_history.js").Point} Point */
/** @typedef {import("./run_history.js").RunHistory} RunHistory */

const HEIGHT = 320;
const LINE = 17; // the height of a label
const EDGE = { left: 36, top: 12, bottom: 26 };
const MOST_POINTS = 400;

/** A picture. @param {RunHistory} history @param {[string, number][]} baselines name and bits
 * @param {number} width of the place */
export function lossChart({ steps, validations }, baselines, width) {
  const right = width < 560 ? 12 : 178; // room for the labels beside the plot
  const lastStep = Math.max(1, steps.at(-1)?.step ?? 1);
  const highest = Math.max(1, ...baselines.map(([, bits]) => bits), ...validations.map(({ bits }) => bits));
  const top = 1.05 * Math.min(highest, 10);
  const x = (/** @type {number} */ step) => EDGE.left + (step / lastStep) * (width - EDGE.left - right);
  const y = (/** @type {number} */ bits) =>
    EDGE.top + (1 - Math.min(bits, top) / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = (/** @type {Point[]} */ points) => points.map(({ step, bits }) => `${x(step)},${y(bits)}`).join(" ");
  const newest = validations.at(-1);
  const labels = baselines.map(([name, bits]) => ({
    name: `${name} ${bits.toFixed(2)}`,
    y: y(bits),
    kind: "baseline",
  }));
  if (newest) labels.push({ name: `this model ${newest.bits.toFixed(2)}`, y: y(newest.bits), kind: "validation" });
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": inWords(newest, baselines) },
    ...axes(lastStep, top, x, y, width - right),
    ...baselines.map(([, bits]) =>
      svg("line", { class: "baseline", x1: EDGE.left, x2: width - right, y1: y(bits), y2: y(bits) }),
    ),
    svg("polyline", { class: "training", points: line(smoothed(steps, MOST_POINTS)) }),
    svg("polyline", { class: "validation", points: line(validations) }),
    ...validations.map(({ step, bits }) => svg("circle", { class: "validation", cx: x(step), cy: y(bits), r: 3 })),
    ...spread(labels).map(({ name, y: place, kind }) =>
      right > 100
        ? svg("text", { class: kind, x: width - right + 8, y: place + 4 }, name)
        : svg("text", { class: kind, x: width - right, y: place - 4, "text-anchor": "end" }, name),
    ),
  );
}

/** @param {number} lastStep @param {number} top @param {(step: number) => number} x @param {(bits: number) => number} y
 * @param {number} right */
function axes(lastStep, top, x, y, right) {
  const marks = Array.from({ length: Math.floor(top) + 1 }, (_, bits) => bits).filter(
    (bits) => top < 6 || bits % 2 === 0,
  );
  return [
    ...marks.map((bits) => svg("line", { class: "grid", x1: EDGE.left, x2: right, y1: y(bits), y2: y(bits) })),
    ...marks.map((bits) => svg("text", { x: EDGE.left - 8, y: y(bits) + 4, "text-anchor": "end" }, String(bits))),
    svg("text", { x: EDGE.left, y: HEIGHT - 6 }, "step 0"),
    svg("text", { x: x(lastStep), y: HEIGHT - 6, "text-anchor": "end" }, lastStep.toLocaleString("en")),
  ];
}

/** Moves labels apart that would lie on each other. @template {{y: number}} Label @param {Label[]} labels */
function spread(labels) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  sorted.forEach((label, i) => {
    if (i) label.y = Math.max(label.y, sorted[i - 1].y + LINE);
  });
  let floor = HEIGHT - EDGE.bottom;
  for (const label of sorted.reverse()) {
    label.y = Math.min(label.y, floor);
    floor = label.y - LINE;
  }
  return sorted;
}

/** @param {Point | undefined} newest @param {[string, number][]} baselines */
function inWords(newest, baselines) {
  const others = baselines.map(([name, bits]) => `${name} ${bits.toFixed(2)}`).join(", ");
  const now = newest ? `${newest.bits.toFixed(2)} at step ${newest.step}` : "not measured yet";
  return `Bits a byte over the steps; less is better. This model: ${now}. Beside it: ${others}.`;
}

/**
 * The map of the embedding: tokens at their places in the two directions in which the vectors of all tokens differ
 * most.
 */

import { visibleText } from "../dom.js";
import { svg } from "../svg.js";

/** @typedef {import("./explanation_view.js").MapPoint} MapPoint */
/** A rectangle. @typedef {{left: number, right: number, top: number, bottom: number}} Box */

const SIZE = { width: 480, height: 320, margin: 24 };
const LABEL = { letter: 10, height: 18, most: 110 }; // the width of a letter, and of a whole label at the right edge

/** A picture. A token whose name would lie on another's has its dot alone, and tells the name to whoever points at it.
 * @param {MapPoint[]} points @param {[number, number]} explained shares of the variance of all tokens */
export function mapPicture(points, explained) {
  const x = scale(
    points.map((point) => point.x),
    SIZE.margin,
    SIZE.width - SIZE.margin - LABEL.most,
  );
  const y = scale(
    points.map((point) => point.y),
    SIZE.height - SIZE.margin,
    SIZE.margin,
  );
  /** @type {Box[]} */
  const taken = [];
  const [across, up] = explained.map((share) => `${Math.round(100 * share)} %`);
  const about = `A map of ${points.length} tokens: across ${across} of all differences between tokens, up ${up}`;
  return svg(
    "svg",
    { class: "map", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": about },
    ...points.map((point) => dot(visibleText(point.token), x(point.x), y(point.y), taken)),
  );
}

/** From numbers to places between two ends. @param {number[]} values @param {number} first @param {number} last */
function scale(values, first, last) {
  const least = Math.min(...values);
  const range = Math.max(...values) - least;
  return (/** @type {number} */ value) => first + (range ? (value - least) / range : 0.5) * (last - first);
}

/** @param {string} name @param {number} x @param {number} y @param {Box[]} taken places of labels; one is added */
function dot(name, x, y, taken) {
  const half = LABEL.height / 2;
  const box = { left: x - 4, right: x + 8 + name.length * LABEL.letter, top: y - half, bottom: y + half };
  const isFree = taken.every(
    (other) =>
      box.right < other.left || other.right < box.left || box.bottom < other.top || other.bottom < box.top,
  );
  if (isFree) taken.push(box);
  return svg(
    "g",
    {},
    svg("title", {}, name),
    svg("circle", { cx: x, cy: y, r: 4 }),
    ...(isFree ? [svg("text", { x: x + 8, y: y + 4 }, name)] : []),
  );
}

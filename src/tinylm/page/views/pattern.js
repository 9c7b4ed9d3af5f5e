/**
 * Patterns of attention as pictures.
 */

/** @typedef {import("../model/reading.js").Reading} Reading */

/** The pattern of a head: for each visible position, its shares of those before. @param {Reading} reading
 * @param {number} layer @param {number} head @returns {Float32Array[]} */
export function patternOf(reading, layer, head) {
  return reading.activations.map((kept, position) => {
    const pattern = kept.get(`layers.${layer}.attn.pattern`) ?? new Float32Array(0);
    return pattern.subarray(head * (position + 1), (head + 1) * (position + 1));
  });
}

/** Draws a pattern, a pixel for each pair of positions; CSS makes it larger. Small shares stay visible: the shade grows
 * with the root of the share. @param {HTMLCanvasElement} canvas @param {Float32Array[]} pattern
 * @param {number} [marked] row that is marked */
export function drawPattern(canvas, pattern, marked = -1) {
  const size = Math.max(1, pattern.length);
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  if (!context) return;
  const [red, green, blue] = colour(canvas);
  const image = context.createImageData(size, size);
  pattern.forEach((row, query) => {
    for (let key = 0; key < size; key++) {
      const isFuture = key > query;
      const alpha = isFuture ? 0 : Math.sqrt(row[key] ?? 0);
      const least = query === marked && !isFuture ? 0.15 : 0;
      image.data.set([red, green, blue, 255 * Math.max(alpha, least)], 4 * (query * size + key));
    }
  });
  context.putImageData(image, 0, 0);
}

/** The colour of text at an element, as red, green and blue. @param {Element} element */
function colour(element) {
  return (
    getComputedStyle(element)
      .color.match(/[\d.]+/g)
      ?.map(Number) ?? [0, 0, 0]
  );
}

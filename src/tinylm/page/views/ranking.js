/**
 * Rankings: which tokens come first.
 */

/** The ids of the largest probabilities, the largest first. @param {Float32Array} probs @param {number} count */
export function likeliest(probs, count) {
  /** @type {number[]} */
  const best = [];
  probs.forEach((probability, id) => {
    if (best.length === count && probability <= probs[best[count - 1]]) return;
    let place = best.length;
    while (place && probs[best[place - 1]] < probability) place--;
    best.splice(place, 0, id);
    best.length = Math.min(best.length, count);
  });
  return best;
}

/**
 * Filters: pure functions of the logits (V), in the order of sampling/filters.py, which they repeat.
 *
 *     bias -> repetition, frequency and presence penalties -> temperature -> top-k -> top-p -> min-p -> typical
 *     -> softmax -> one uniform number decides                        (greedy: the likeliest after the penalties)
 *
 * A filter takes an id out by setting its logit to -Infinity. Ids that tie with the last one kept are kept, too.
 */

/**
 * Settings of sampling, with Python's names.
 * @typedef {object} SamplingParams
 * @property {number} repetition_penalty
 * @property {number} frequency_penalty
 * @property {number} presence_penalty
 * @property {number} temperature
 * @property {number} top_k
 * @property {number} top_p
 * @property {number} min_p
 * @property {number} typical_p
 * @property {boolean} greedy
 */

/**
 * Makes ids that have occurred less likely.
 * @param {Float32Array} logits @param {Map<number, number>} counts id -> how often it has occurred
 * @param {SamplingParams} params
 */
export function applyPenalties(logits, counts, params) {
  const penalised = logits.slice();
  for (const [id, count] of counts) {
    const value = penalised[id];
    penalised[id] =
      (value > 0 ? value / params.repetition_penalty : value * params.repetition_penalty) -
      (params.frequency_penalty * count + params.presence_penalty);
  }
  return penalised;
}

/**
 * Divides the logits by the temperature, counted from the largest.
 * @param {Float32Array} logits
 * @param {number} temperature
 */
export function applyTemperature(logits, temperature) {
  const highest = peak(logits);
  return logits.map((logit) => Math.fround(logit - highest) / Math.max(temperature, 1e-30));
}

/** Keeps the k likeliest ids; 0 keeps all. @param {Float32Array} logits @param {number} k */
export function keepTopK(logits, k) {
  if (k === 0 || k >= logits.length) return logits;
  return kept(logits, logits, threshold(logits, new Float32Array(logits.length).fill(1), k));
}

/**
 * Keeps the fewest likeliest ids whose probabilities reach p together.
 * @param {Float32Array} logits
 * @param {number} p
 */
export function keepTopP(logits, p) {
  return p >= 1 ? logits : kept(logits, logits, threshold(logits, softmax(logits), p));
}

/** Keeps the ids at least p times as likely as the likeliest one. @param {Float32Array} logits @param {number} p */
export function keepMinP(logits, p) {
  return p === 0 ? logits : kept(logits, logits, Math.fround(peak(logits) + Math.fround(Math.log(p))));
}

/**
 * Keeps the ids about as surprising as is to be expected that reach p together.
 * @param {Float32Array} logits
 * @param {number} p
 */
export function keepTypical(logits, p) {
  if (p >= 1) return logits;
  const probs = softmax(logits);
  let entropy = 0;
  for (const prob of probs) if (prob > 0) entropy -= prob * Math.log(prob);
  const nearness = probs.map((prob) => (prob > 0 ? -Math.abs(Math.log(prob) + entropy) : -Infinity));
  return kept(logits, nearness, threshold(nearness, probs, p));
}

/** The filters after the temperature, in their order: the name of the setting, and the function of logits and setting.
 * @type {["top_k" | "top_p" | "min_p" | "typical_p", (logits: Float32Array, value: number) => Float32Array][]} */
export const CUTS = [
  ["top_k", keepTopK],
  ["top_p", keepTopP],
  ["min_p", keepMinP],
  ["typical_p", keepTypical],
];

/** The probabilities of the logits; that of -Infinity is 0. @param {Float32Array} logits */
export function softmax(logits) {
  const highest = peak(logits);
  let total = 0;
  const shares = logits.map((logit) => Math.exp(Math.max(logit - highest, -1e4)));
  for (const share of shares) total += share;
  return shares.map((share) => share / total);
}

/** The first id at which the cumulative sum of the probabilities passes `uniform` (0 to 1) of the whole sum.
 * @param {Float32Array} probs @param {number} uniform */
export function draw(probs, uniform) {
  let total = 0;
  for (const prob of probs) total += prob;
  let reached = 0;
  let last = 0;
  for (let id = 0; id < probs.length; id++) {
    if (probs[id] > 0) {
      reached += probs[id];
      last = id;
      if (reached > uniform * total) break;
    }
  }
  return last;
}

/**
 * The largest value such that the masses of all values at least as large reach `enough`; the smallest value where the
 * masses of all together do not. A round halves the values that are still in question (quickselect).
 * @param {Float32Array} values @param {Float32Array} masses @param {number} enough
 */
export function threshold(values, masses, enough) {
  let open = Array.from(values, (_, id) => id);
  let missing = enough;
  for (;;) {
    const pivot = values[open[open.length >> 1]];
    let above = 0;
    let level = 0;
    for (const id of open) {
      if (values[id] > pivot) above += masses[id];
      else if (values[id] === pivot) level += masses[id];
    }
    if (above >= missing) {
      open = open.filter((id) => values[id] > pivot);
    } else {
      open = open.filter((id) => values[id] < pivot);
      if (above + level >= missing || open.length === 0) return pivot;
      missing -= above + level;
    }
  }
}

/** The largest logit. @param {Float32Array} logits */
export function peak(logits) {
  let highest = -Infinity;
  for (const logit of logits) if (logit > highest) highest = logit;
  return highest;
}

/** The logits of the ids whose value is at least `least`. @param {Float32Array} logits @param {Float32Array} values
 * @param {number} least */
function kept(logits, values, least) {
  return logits.map((logit, id) => (values[id] >= least ? logit : -Infinity));
}

/**
 * The sampler of one text: chooses ids by the settings, by the ids that have occurred, and by random numbers, as
 * sampling/sampler.py does. The random number that decides a token is a function of seed and index alone.
 */

import { applyPenalties, applyTemperature, CUTS, draw, peak, softmax } from "./filters.js";

/** @typedef {import("./filters.js").SamplingParams} SamplingParams */
/**
 * What becomes of the distribution of the next token.
 * @typedef {object} Choice
 * @property {Float32Array} own the model's own probabilities (V)
 * @property {Float32Array} probs those that a token is drawn from; greedy: 1 for the likeliest
 * @property {Map<number, string>} cut id -> the setting that took it out
 */

const ALL = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** The random number at an index of the stream of a seed, 0 <= number < 1 (SplitMix64).
 * @param {bigint} seed @param {number} index */
export function uniform(seed, index) {
  return Number(mixed((mixed((seed + GOLDEN) & ALL) + BigInt(index + 1) * GOLDEN) & ALL) >> 11n) / 2 ** 53;
}

/** @param {bigint} value */
function mixed(value) {
  value = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & ALL;
  value = ((value ^ (value >> 27n)) * 0x94d049bb133111ebn) & ALL;
  return value ^ (value >> 31n);
}

/** True if the likeliest id is chosen always. @param {SamplingParams} params */
export const isGreedy = (params) => params.greedy || params.temperature === 0;

/** How often each id has occurred. @param {number[]} ids */
export function countIds(ids) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/**
 * The id that is drawn next.
 * @param {Float32Array} logits (V)
 * @param {Map<number, number>} counts of the ids so far
 * @param {SamplingParams} params
 * @param {[number, number | null][]} bias id and number that is added to its logit; null bans it
 * @param {number} random 0 <= random < 1
 */
export function chooseNext(logits, counts, params, bias, random) {
  const penalised = applyPenalties(biased(logits, bias), counts, params);
  if (isGreedy(params)) return penalised.indexOf(peak(penalised));
  /** @type {Float32Array} */
  let left = applyTemperature(penalised, params.temperature);
  for (const [name, keep] of CUTS) left = keep(left, params[name]);
  return draw(softmax(left), random);
}

/**
 * The same, with what each filter does on the way.
 * @param {Float32Array} logits @param {Map<number, number>} counts @param {SamplingParams} params
 * @param {[number, number | null][]} bias
 * @returns {Choice}
 */
export function explainChoice(logits, counts, params, bias) {
  const own = softmax(logits);
  /** @type {Map<number, string>} */
  const cut = new Map();
  const penalised = applyPenalties(biased(logits, bias), counts, params);
  if (isGreedy(params)) {
    const probs = new Float32Array(logits.length);
    probs[penalised.indexOf(peak(penalised))] = 1;
    probs.forEach((prob, id) => {
      if (!prob) cut.set(id, "greedy");
    });
    return { own, probs, cut };
  }
  for (const [id, number] of bias) if (number === null) cut.set(id, "banned_tokens");
  /** @type {Float32Array} */
  let left = applyTemperature(penalised, params.temperature);
  for (const [name, keep] of CUTS) {
    const before = left;
    left = keep(left, params[name]);
    left.forEach((logit, id) => {
      if (logit === -Infinity && before[id] !== -Infinity) cut.set(id, name);
    });
  }
  return { own, probs: softmax(left), cut };
}

/** @param {Float32Array} logits @param {[number, number | null][]} bias */
function biased(logits, bias) {
  const sum = logits.slice();
  for (const [id, number] of bias) sum[id] = number === null ? -Infinity : sum[id] + number;
  return sum;
}

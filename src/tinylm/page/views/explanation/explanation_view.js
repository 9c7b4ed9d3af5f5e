/**
 * An explanation as a page shows it: the sections of `tinylm explain`, drawn from its data.
 */

import { panel } from "../dom.js";
import { experimentSections } from "./experiments.js";
import { pictureSections } from "./pictures.js";
import { Place } from "./place.js";

/**
 * What `tinylm explain --json` prints, as far as it was asked for.
 * @typedef {object} ExplanationData
 * @property {string} text
 * @property {number[]} ids
 * @property {string[]} changes
 * @property {number | null} loss
 * @property {string[]} [notes] on what is missing
 * @property {TokenScore[]} [tokens]
 * @property {{token: Prediction, readings: {stream: string, next: Prediction[][]}[]}} [lens]
 * @property {{layer: number, head: number, tokens: string[], pattern: number[][]}} [attention]
 * @property {{position: number, token: Prediction, against: Prediction, logit_difference: number,
 *   parts: {part: string, value: number}[]}} [contributions]
 * @property {{changes: string[], loss_before: number | null, loss_after: number | null, before: Prediction[],
 *   after: Prediction[], effect: Effects | null}} [change]
 * @property {{token: Prediction, against: Prediction, unpatched: number, source: number, stream: number[][],
 *   heads: number[][], mlps: number[]}} [patching]
 * @property {Record<string, string | number | null>} [step]
 * @property {{heads: HeadScore[], effects: Effects | null}} [parts]
 * @property {{neighbours: {token: string, similarity: number}[][], map: {points: MapPoint[],
 *   explained: [number, number]}}} [neighbours]
 */
/** @typedef {{position: number, id: number, token: string, probability: number | null, rank: number | null}}
 *   TokenScore */
/** @typedef {{id: number, token: string, probability: number}} Prediction */
/** @typedef {{layer: number, head: number, previous_token: number | null, induction: number | null}} HeadScore */
/** @typedef {{split: string, tokens: number, loss: number, parts: {part: string, loss: number, difference:
 *   number}[]}} Effects */
/** @typedef {{id: number, token: string, x: number, y: number}} MapPoint */

/** The sections that there are data for, in one order. @param {ExplanationData} data @returns {HTMLElement[]} */
export function explanationView(data) {
  const place = new Place(data.contributions?.position ?? data.ids.length - 1);
  const sections = { ...pictureSections(data, place), ...experimentSections(data) };
  return Object.values(sections).map(({ title, about, content }) => panel(title, about, ...content));
}

/** @typedef {{title: string, about: string, content: import("../dom.js").Child[]}} Section */

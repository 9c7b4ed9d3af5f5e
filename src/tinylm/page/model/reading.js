/**
 * A text as a model reads it: its ids, the logits after each, and the activations that the views draw. What the
 * model sees
 * is at most `context_length` ids; a longer text forgets its front, as generation/context.py has it.
 */

import { softmax } from "../sampling/filters.js";
import { KVCache, untouched } from "./transformer.js";

/** @typedef {import("./transformer.js").TinyLM} TinyLM */
/** @typedef {import("./transformer.js").Tap} Tap */

/**
 * Taps of each position that are kept for the views: the pattern of each layer, and the stream as it leaves a layer.
 */
const KEPT = /\.(attn\.pattern|resid_post)$/;

/**
 * Those of `indices` that a model sees: all, or the first and the later half.
 * @param {number[]} indices
 * @param {number} limit
 */
export function visibleIndices(indices, limit) {
  if (indices.length <= limit) return indices;
  const keep = Math.max(1, limit >> 1);
  return keep > 1 ? [indices[0], ...indices.slice(1 - keep)] : indices.slice(-1);
}

/** A text in a model. Ids are put in by `push` or `restart`, and read by `advance` or `finish`. */
export class Reading {
  /** @param {TinyLM} model @param {Tap} tap changes activations; by default nothing is changed */
  constructor(model, tap = untouched) {
    this.model = model;
    this.tap = tap;
    this.limit = model.config.context_length;
    /** All ids of the text. @type {number[]} */
    this.ids = [];
    /** The logits (V) after each id; none after those that were never read. @type {(Float32Array | undefined)[]} */
    this.logits = [];
    /** Indices of the ids that the model sees and has read. @type {number[]} */
    this.visible = [];
    /** Indices of those that come next. @type {number[]} */
    this.unread = [];
    /** Activations at each visible position, by name. @type {Map<string, Float32Array>[]} */
    this.activations = [];
    this.cache = new KVCache(model.config.n_layers);
  }

  /** The number of ids that the model no longer sees. */
  get dropped() {
    return this.ids.length - this.visible.length - this.unread.length;
  }

  /** Puts in a whole text. @param {number[]} ids */
  restart(ids) {
    this.ids = [...ids];
    this.logits = [];
    this.show(visibleIndices([...ids.keys()], this.limit));
  }

  /** Adds one more id. @param {number} id */
  push(id) {
    const seen = [...this.visible, ...this.unread, this.ids.push(id) - 1];
    if (seen.length > this.limit) this.show(visibleIndices(seen, this.limit));
    else this.unread.push(this.ids.length - 1);
  }

  /** Leaves the first `length` ids alone. @param {number} length */
  truncate(length) {
    if (this.dropped || this.unread.length) return this.restart(this.ids.slice(0, length));
    this.ids.length = this.logits.length = this.visible.length = this.activations.length = length;
    this.cache.truncate(length);
  }

  /** Sees these ids, and has read none of them. @param {number[]} indices */
  show(indices) {
    this.unread = [...indices];
    this.visible = [];
    this.activations = [];
    this.cache = new KVCache(this.model.config.n_layers);
  }

  /** Reads the next id. Returns false where all were read. */
  advance() {
    const index = this.unread.shift();
    if (index === undefined) return false;
    /** @type {Map<string, Float32Array>} */
    const kept = new Map();
    const logits = this.model.forward(this.ids[index], this.cache, (name, activation) => {
      const changed = this.tap(name, activation);
      if (KEPT.test(name)) kept.set(name, changed);
      return changed;
    });
    this.logits[index] ??= logits;
    this.visible.push(index);
    this.activations.push(kept);
    return true;
  }

  /** Reads all ids. Returns the logits after the last one. @returns {Float32Array} */
  finish() {
    while (this.advance());
    return /** @type {Float32Array} */ (this.logits[this.ids.length - 1]);
  }

  /** The probability that the model gave to the id at an index before it came; none where it had read nothing.
   * @param {number} index */
  probability(index) {
    const logits = index ? this.logits[index - 1] : undefined;
    return logits && softmax(logits)[this.ids[index]];
  }
}

/** Switches heads and MLPs off: a tap that makes zeros of what they give.
 * @param {Iterable<string>} off names, such as `layers.1.head.0` and `layers.0.mlp` @param {number} dHead @returns
 *   {Tap} */
export function switchOff(off, dHead) {
  /** @type {Map<string, number[]>} */
  const heads = new Map();
  const mlps = new Set();
  for (const name of off) {
    const [layer, head] = name.split(".head.");
    const tap = `${layer}.attn.z`;
    if (head === undefined) mlps.add(`${name}_out`);
    else heads.set(tap, [...(heads.get(tap) ?? []), Number(head)]);
  }
  return (name, activation) => {
    if (mlps.has(name)) return new Float32Array(activation.length);
    const changed = activation.slice();
    for (const head of heads.get(name) ?? []) changed.fill(0, head * dHead, (head + 1) * dHead);
    return changed;
  };
}

/**
 * The transformer, a second time: in JavaScript, and one token at a time.
 *
 *     id ──► embed ──► x ─┬────────────────────► + ─┬──────────────► + ─► ... ─► ln_f ──► out_head ──► logits
 *                         └─► norm1 ─► attention ┘  └─► norm2 ─► MLP ┘
 *                         └──────────────── one layer ─────────────┘
 *
 * It computes what model/transformer.py computes, with the same names. There all positions of a text go through the
 * model
 * together, under a mask; here they come one after another, and the cache holds the keys and values of those before, so
 * that no position can see a later one.
 *
 * Axis letters:  S key positions so far   D d_model   H heads   G key/value heads   K d_head   F d_mlp   V vocabulary
 *
 * A line `tap(name, ...)` gives an activation its name (model/taps.py) and changes nothing.
 */

import { applyRotary, makeNorm, makePositions, RMSNorm } from "./parts.js";

/** @typedef {import("./matrices.js").Matrix} Matrix */
/** @typedef {import("./weights.js").Weights} Weights */
/** @typedef {import("./weights.js").ModelConfig} ModelConfig */
/** @typedef {import("./parts.js").Norm} Norm */
/** @typedef {import("./parts.js").Angles} Angles */

/**
 * A hook: gets the name of each activation and its numbers, and what it returns flows on.
 * @typedef {(name: string, activation: Float32Array) => Float32Array} Tap
 */

/** @type {Tap} */
export const untouched = (_, activation) => activation;

/** A linear map: the product of a matrix (out, in) with x, and a bias if there is one. */
export class Linear {
  /** @param {Matrix} matrix @param {Float32Array | undefined} bias */
  constructor(matrix, bias) {
    this.matrix = matrix;
    this.bias = bias;
  }

  /** @param {Float32Array} x (in) @returns {Float32Array} (out) */
  forward(x) {
    const y = this.matrix.multiply(x);
    this.bias?.forEach((bias, i) => {
      y[i] += bias;
    });
    return y;
  }
}

/**
 * The keys and values of one layer: a vector (G*K) of each for every position so far.
 * @typedef {{keys: Float32Array[], values: Float32Array[]}} LayerCache
 */

/** The key/value cache: keys and values of earlier positions do not change, so each is computed once. */
export class KVCache {
  /** @param {number} nLayers */
  constructor(nLayers) {
    /** @type {LayerCache[]} */
    this.layers = Array.from({ length: nLayers }, () => ({ keys: [], values: [] }));
    this.length = 0;
  }

  /** Forgets the positions from `length` on. @param {number} length */
  truncate(length) {
    this.length = length;
    for (const layer of this.layers) layer.keys.length = layer.values.length = length;
  }
}

/** Multi-head attention: moves information between positions. */
export class Attention {
  /** @param {ModelConfig} config @param {Weights} weights @param {string} name */
  constructor(config, weights, name) {
    this.nHeads = config.n_heads;
    this.nKvHeads = config.n_kv_heads;
    this.dHead = config.d_head;
    this.qProj = weights.linear(`${name}.q_proj`);
    this.kProj = weights.linear(`${name}.k_proj`);
    this.vProj = weights.linear(`${name}.v_proj`);
    this.oProj = weights.linear(`${name}.o_proj`);
    const norm = (/** @type {string} */ part) =>
      new RMSNorm(weights.vector(`${name}.${part}.weight`), config.norm_eps);
    this.qNorm = config.qk_norm ? norm("q_norm") : undefined;
    this.kNorm = config.qk_norm ? norm("k_norm") : undefined;
  }

  /**
   * @param {Float32Array} x (D)
   * @param {Angles | undefined} angles of rotary positions, by which queries and keys are turned
   * @param {LayerCache} cache takes in the new key and value
   * @param {Tap} tap
   * @returns {Float32Array} (D)
   */
  forward(x, angles, cache, tap) {
    let q = this.qProj.forward(x); // (H*K): what this position looks for, in each head
    let k = this.kProj.forward(x); // (G*K): what it is found by
    const v = this.vProj.forward(x); // (G*K): what it hands over
    if (this.qNorm && this.kNorm) {
      q = this.qNorm.forward(q); // each head is as wide as the norm, and normalised by itself
      k = this.kNorm.forward(k);
    }
    if (angles) {
      applyRotary(q, angles);
      applyRotary(k, angles);
    }
    q = tap("attn.q", q);
    cache.keys.push(tap("attn.k", k));
    cache.values.push(tap("attn.v", v));
    const scores = tap("attn.scores", this.scores(q, cache.keys)); // (H, S)
    const pattern = tap("attn.pattern", softmaxRows(scores, cache.keys.length)); // (H, S): each row sums to 1
    const z = tap("attn.z", this.weightedSum(pattern, cache.values)); // (H, K)
    return this.oProj.forward(z); // (H*K) -> (D)
  }

  /**
   * Where the key and value of a query's head begin: each key/value head serves H/G query heads.
   * @param {number} head
   */
  keyStart(head) {
    return Math.floor((head * this.nKvHeads) / this.nHeads) * this.dHead;
  }

  /** @param {Float32Array} q (H*K) @param {Float32Array[]} keys S times (G*K) @returns {Float32Array} (H, S) */
  scores(q, keys) {
    const scores = new Float32Array(this.nHeads * keys.length);
    const scale = 1 / Math.sqrt(this.dHead); // keeps the softmax from saturating
    for (let head = 0, i = 0; head < this.nHeads; head++) {
      const queryStart = head * this.dHead;
      const keyStart = this.keyStart(head);
      for (const key of keys) {
        let sum = 0;
        for (let c = 0; c < this.dHead; c++) sum += q[queryStart + c] * key[keyStart + c];
        scores[i++] = sum * scale;
      }
    }
    return scores;
  }

  /**
   * The values, summed with the shares of the pattern as weights.
   * @param {Float32Array} pattern (H, S) @param {Float32Array[]} values S times (G*K) @returns {Float32Array} (H, K)
   */
  weightedSum(pattern, values) {
    const z = new Float32Array(this.nHeads * this.dHead);
    for (let head = 0, i = 0; head < this.nHeads; head++) {
      const start = head * this.dHead;
      const valueStart = this.keyStart(head);
      for (const value of values) {
        const share = pattern[i++];
        for (let c = 0; c < this.dHead; c++) z[start + c] += share * value[valueStart + c];
      }
    }
    return z;
  }
}

/** Softmax of each row of scores (H, S). @param {Float32Array} scores @param {number} width S */
export function softmaxRows(scores, width) {
  const pattern = new Float32Array(scores.length);
  for (let start = 0; start < scores.length; start += width) {
    let highest = -Infinity;
    let total = 0;
    for (let i = start; i < start + width; i++) highest = Math.max(highest, scores[i]);
    for (let i = start; i < start + width; i++) total += pattern[i] = Math.exp(scores[i] - highest);
    for (let i = start; i < start + width; i++) pattern[i] /= total;
  }
  return pattern;
}

/** @type {Record<string, (x: number) => number>} */
const ACTIVATIONS = {
  relu: (x) => Math.max(x, 0),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))), // GPT-2's form
  squared_relu: (x) => Math.max(x, 0) ** 2,
  swiglu: (x) => x / (1 + Math.exp(-x)),
};

/** The MLP: computes at each position alone. Widens D to F, applies an activation function, and narrows again. */
export class MLP {
  /** @param {ModelConfig} config @param {Weights} weights @param {string} name */
  constructor(config, weights, name) {
    this.upProj = weights.linear(`${name}.up_proj`);
    this.downProj = weights.linear(`${name}.down_proj`);
    this.activation = ACTIVATIONS[config.mlp];
  }

  /** @param {Float32Array} x (D) @param {Tap} tap @returns {Float32Array} (D) */
  forward(x, tap) {
    const pre = tap("mlp_pre", this.upProj.forward(x)); // (F)
    const post = tap("mlp_post", pre.map(this.activation)); // (F)
    return this.downProj.forward(post); // (D)
  }
}

/** An MLP whose hidden units are multiplied by the activation of a second view of the input, the gate (SwiGLU). */
export class GatedMLP extends MLP {
  /** @param {ModelConfig} config @param {Weights} weights @param {string} name */
  constructor(config, weights, name) {
    super(config, weights, name);
    this.gateProj = weights.linear(`${name}.gate_proj`);
  }

  /** @param {Float32Array} x (D) @param {Tap} tap @returns {Float32Array} (D) */
  forward(x, tap) {
    const up = this.upProj.forward(x);
    const pre = tap("mlp_pre", this.gateProj.forward(x)); // (F)
    const post = tap(
      "mlp_post",
      pre.map((value, i) => this.activation(value) * up[i]),
    ); // (F)
    return this.downProj.forward(post); // (D)
  }
}

/** A layer: adds what attention found, then what the MLP computed, to the residual stream x. */
export class Layer {
  /** @param {ModelConfig} config @param {Weights} weights @param {string} name */
  constructor(config, weights, name) {
    this.norm1 = makeNorm(config, weights, `${name}.norm1`);
    this.attn = new Attention(config, weights, `${name}.attn`);
    this.norm2 = makeNorm(config, weights, `${name}.norm2`);
    this.mlp = new (config.mlp === "swiglu" ? GatedMLP : MLP)(config, weights, `${name}.mlp`);
    this.isPostNorm = config.norm_position === "post";
  }

  /** @param {Float32Array} x (D) @param {Angles | undefined} angles @param {LayerCache} cache @param {Tap} tap */
  forward(x, angles, cache, tap) {
    x = tap("resid_pre", x);
    if (this.isPostNorm) {
      // the stream is normalised after each of the two sums: the wiring of the notebook
      x = tap("resid_mid", this.norm1.forward(sum(x, tap("attn_out", this.attn.forward(x, angles, cache, tap)))));
      return tap("resid_post", this.norm2.forward(sum(x, tap("mlp_out", this.mlp.forward(x, tap)))));
    }
    const normed = this.norm1.forward(x); // the stream itself runs straight through
    x = tap("resid_mid", sum(x, tap("attn_out", this.attn.forward(normed, angles, cache, tap))));
    return tap("resid_post", sum(x, tap("mlp_out", this.mlp.forward(this.norm2.forward(x), tap))));
  }
}

/** @param {Float32Array} x @param {Float32Array} y */
const sum = (x, y) => x.map((value, i) => value + y[i]);

/** A language model: an id in, one score for every possible next token out. */
export class TinyLM {
  /** @param {ModelConfig} config @param {Weights} weights */
  constructor(config, weights) {
    this.config = config;
    this.embed = weights.matrix("embed.weight");
    this.positions = makePositions(config, weights);
    this.layers = Array.from({ length: config.n_layers }, (_, i) => new Layer(config, weights, `layers.${i}`));
    this.lnF = makeNorm(config, weights, "ln_f");
    this.outHead = config.tied_embeddings ? new Linear(this.embed, undefined) : weights.linear("out_head");
  }

  /**
   * @param {number} id of the token that stands at the next position
   * @param {KVCache} cache of the positions before; takes in this one
   * @param {Tap} tap
   * @returns {Float32Array} logits (V)
   */
  forward(id, cache, tap = untouched) {
    const position = cache.length++;
    let x = this.positions.add(tap("embed", this.embed.row(id)), position); // (D)
    const angles = this.positions.angles(position);
    this.layers.forEach((layer, i) => {
      x = layer.forward(x, angles, cache.layers[i], (name, activation) => tap(`layers.${i}.${name}`, activation));
    });
    return tap("logits", this.read(x, tap)); // (V)
  }

  /**
   * The logits that a residual stream stands for: what the model would say if it ended here.
   * @param {Float32Array} x (D)
   */
  read(x, tap = untouched) {
    return this.outHead.forward(tap("ln_f", this.lnF.forward(x)));
  }
}

/**
 * Norms and positions: model/norms.py and model/positions.py, for one position at a time.
 *
 * Axis letters:  D d_model   K d_head
 */

/** @typedef {import("./weights.js").Weights} Weights */
/** @typedef {import("./weights.js").ModelConfig} ModelConfig */
/** @typedef {{forward(x: Float32Array): Float32Array}} Norm */
/** Cosines and sines, K/2 of each. @typedef {{cos: Float32Array, sin: Float32Array}} Angles */

/** LayerNorm: (x - mean) / sqrt(variance + eps) * weight + bias. */
export class LayerNorm {
  /** @param {Float32Array} weight @param {Float32Array | undefined} bias @param {number} eps */
  constructor(weight, bias, eps) {
    this.weight = weight;
    this.bias = bias;
    this.eps = eps;
  }

  /** @param {Float32Array} x (D) @returns {Float32Array} (D) */
  forward(x) {
    let mean = 0;
    let variance = 0;
    for (const value of x) mean += value / x.length;
    for (const value of x) variance += (value - mean) ** 2 / x.length;
    const scale = 1 / Math.sqrt(variance + this.eps);
    return x.map((value, i) => (value - mean) * scale * this.weight[i] + (this.bias ? this.bias[i] : 0));
  }
}

/** RMSNorm: x / sqrt(mean(x^2) + eps) * weight, over each part of x that is as wide as the weight. */
export class RMSNorm {
  /** @param {Float32Array} weight @param {number} eps */
  constructor(weight, eps) {
    this.weight = weight;
    this.eps = eps;
  }

  /** @param {Float32Array} x @returns {Float32Array} */
  forward(x) {
    const width = this.weight.length;
    const y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      let squares = 0;
      for (let i = 0; i < width; i++) squares += x[start + i] ** 2;
      const scale = 1 / Math.sqrt(squares / width + this.eps);
      for (let i = 0; i < width; i++) y[start + i] = x[start + i] * scale * this.weight[i];
    }
    return y;
  }
}

/** The norm over the residual stream that the config names. @param {ModelConfig} config @param {Weights} weights
 * @param {string} name @returns {Norm} */
export function makeNorm(config, weights, name) {
  const weight = weights.vector(`${name}.weight`);
  if (config.norm === "rmsnorm") return new RMSNorm(weight, config.norm_eps);
  return new LayerNorm(weight, weights.optional(`${name}.bias`), config.norm_eps);
}

/** Absence of a signal of positions: a model knows of order only by what it may see. */
class NoPositions {
  /** @param {Float32Array} x @param {number} position */
  add(x, position) {
    void position;
    return x;
  }

  /** @param {number} position @returns {Angles | undefined} */
  angles(position) {
    void position;
    return undefined;
  }
}

/** Learned vectors, one a position, which are added to the embedding. */
class LearnedPositions extends NoPositions {
  /** @param {import("./matrices.js").Matrix} matrix (context_length, D) */
  constructor(matrix) {
    super();
    this.matrix = matrix;
  }

  /** @param {Float32Array} x @param {number} position */
  add(x, position) {
    const vector = this.matrix.row(position);
    return x.map((value, i) => value + vector[i]);
  }
}

/** Rotary positions: turn each pair of dimensions of queries and keys by an angle that grows with the position, so that
 * their products depend on the distance alone. Numbers are rounded to 32 bits where Python rounds them. */
class RotaryPositions extends NoPositions {
  /** @param {number} dHead @param {number} theta */
  constructor(dHead, theta) {
    super();
    this.speeds = Float32Array.from({ length: dHead / 2 }, (_, i) => theta ** Math.fround((-2 * i) / dHead));
  }

  /** @param {number} position @returns {Angles} */
  angles(position) {
    const angles = this.speeds.map((speed) => position * speed);
    return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
  }
}

/** Turns each head of queries or keys by the angles of the position, in place. Pairs are (i, i + K/2).
 * @param {Float32Array} x (heads*K) @param {Angles} angles */
export function applyRotary(x, { cos, sin }) {
  const half = cos.length;
  for (let start = 0; start < x.length; start += 2 * half) {
    for (let i = 0; i < half; i++) {
      const first = x[start + i];
      const second = x[start + half + i];
      x[start + i] = first * cos[i] - second * sin[i];
      x[start + half + i] = second * cos[i] + first * sin[i];
    }
  }
}

/** The position signal that the config names. @param {ModelConfig} config @param {Weights} weights */
export function makePositions(config, weights) {
  if (config.positions === "learned") return new LearnedPositions(weights.matrix("positions.weight"));
  return config.positions === "rotary" ? new RotaryPositions(config.d_head, config.rope_theta) : new NoPositions();
}

/**
 * Weights: from the bytes of a file to matrices and vectors, by the names of Python's parameters.
 */

import { chooseMatrices } from "./matrices.js";
import { Linear } from "./transformer.js";

/** @typedef {import("./matrices.js").Matrix} Matrix */
/**
 * The shape of a model, with the names of Python's ModelConfig.
 * @typedef {object} ModelConfig
 * @property {number} vocab_size
 * @property {number} context_length
 * @property {number} d_model
 * @property {number} n_layers
 * @property {number} n_heads
 * @property {number} n_kv_heads
 * @property {number} d_head
 * @property {string} mlp
 * @property {number} d_mlp
 * @property {string} norm
 * @property {string} norm_position
 * @property {number} norm_eps
 * @property {string} positions
 * @property {number} rope_theta
 * @property {boolean} qk_norm
 * @property {boolean} tied_embeddings
 */
/** A tensor of the file, in the file's order. @typedef {{name: string, shape: number[], dtype: string}} StoredTensor */

const BLOCK = 32; // numbers of a row that share a scale, in q8_0

/** The parameters of a model. */
export class Weights {
  /**
   * @param {StoredTensor[]} tensors
   * @param {Uint8Array} bytes the numbers of all of them
   * @param {boolean} plain true: no WebAssembly
   */
  constructor(tensors, bytes, plain = false) {
    const matrices = tensors.filter(({ shape }) => shape.length === 2);
    const chosen = chooseMatrices(
      matrices.map(({ shape }) => [shape[0], shape[1]]),
      plain,
    );
    /** How products are computed, in words. */
    this.way = chosen.way;
    /** @type {Map<string, Matrix>} */
    this.matrices = new Map();
    /** @type {Map<string, Float32Array>} */
    this.vectors = new Map();
    let start = 0;
    for (const { name, shape, dtype } of tensors) {
      const count = shape.reduce((product, size) => product * size, 1);
      const { size, decode } = DTYPES[dtype];
      const end = start + size(count);
      const numbers = decode(new DataView(bytes.buffer, bytes.byteOffset + start, end - start), count);
      if (shape.length === 2) this.matrices.set(name, chosen.makeMatrix(numbers, shape[1]));
      else this.vectors.set(name, numbers);
      start = end;
    }
    if (start !== bytes.length) throw new Error(`the weights have ${bytes.length} bytes instead of ${start}`);
  }

  /** @param {string} name */
  matrix(name) {
    return present(this.matrices.get(name), name);
  }

  /** @param {string} name */
  vector(name) {
    return present(this.vectors.get(name), name);
  }

  /** @param {string} name @returns {Float32Array | undefined} */
  optional(name) {
    return this.vectors.get(name);
  }

  /** @param {string} name of a module with a weight, and perhaps a bias */
  linear(name) {
    return new Linear(this.matrix(`${name}.weight`), this.optional(`${name}.bias`));
  }
}

/** @template T @param {T | undefined} found @param {string} name @returns {T} */
function present(found, name) {
  if (found === undefined) throw new Error(`there is no tensor ${name}`);
  return found;
}

/**
 * Number formats of a file: the bytes of so many numbers, and the numbers of bytes.
 * @type {Record<string, {size: (count: number) => number, decode: (data: DataView, count: number) => Float32Array}>}
 */
const DTYPES = {
  f32: {
    size: (count) => 4 * count,
    decode: (data, count) => Float32Array.from({ length: count }, (_, i) => data.getFloat32(4 * i, true)),
  },
  f16: {
    size: (count) => 2 * count,
    decode: (data, count) => Float32Array.from({ length: count }, (_, i) => fromHalf(data.getUint16(2 * i, true))),
  },
  q8_0: { size: (count) => (count / BLOCK) * (2 + BLOCK), decode: decodeBlocks },
};

/** Blocks of a 16-bit scale and 32 whole numbers of 8 bits. @param {DataView} data @param {number} count */
function decodeBlocks(data, count) {
  const numbers = new Float32Array(count);
  for (let i = 0, at = 0; i < count; at += 2 + BLOCK) {
    const scale = fromHalf(data.getUint16(at, true));
    for (let j = 0; j < BLOCK; j++) numbers[i++] = scale * data.getInt8(at + 2 + j);
  }
  return numbers;
}

/** The number that 16 bits stand for: a sign, 5 bits of exponent, 10 of fraction. @param {number} bits */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

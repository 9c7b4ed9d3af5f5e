/**
 * Matrices (rows, columns) that multiply a vector: by WebAssembly, four numbers at a time, or in plain JavaScript.
 */

import { assemble } from "./assembler.js";
import { PRODUCT } from "./product.js";

/**
 * @typedef {object} Matrix
 * @property {number} rows
 * @property {number} columns
 * @property {(x: Float32Array) => Float32Array} multiply the product (rows) with x (columns)
 * @property {(row: number) => Float32Array} row a copy of one row
 */

/**
 * Makes matrices of numbers that lie row by row.
 * @typedef {(numbers: Float32Array, columns: number) => Matrix} MakeMatrix
 */

/** A matrix in plain JavaScript. */
export class PlainMatrix {
  /** @param {Float32Array} numbers @param {number} columns */
  constructor(numbers, columns) {
    this.numbers = numbers;
    this.rows = numbers.length / columns;
    this.columns = columns;
  }

  /** @param {Float32Array} x */
  multiply(x) {
    const { numbers, rows, columns } = this;
    const y = new Float32Array(rows);
    for (let row = 0, i = 0; row < rows; row++) {
      let sum = 0;
      for (let column = 0; column < columns; column++) sum += numbers[i++] * x[column];
      y[row] = sum;
    }
    return y;
  }

  /** @param {number} row */
  row(row) {
    return this.numbers.slice(row * this.columns, (row + 1) * this.columns);
  }
}

const PAGE_BYTES = 65536;
/** @param {number} count */
const upToFour = (count) => Math.ceil(count / 4) * 4;

/**
 * The memory of a WebAssembly instance: matrices one after another, and before them room for a vector and a product.
 */
class WasmMemory {
  /** @param {[number, number][]} shapes of all matrices: rows and columns */
  constructor(shapes) {
    const sizes = shapes.map(([rows, columns]) => upToFour(rows) * upToFour(columns));
    const widest = upToFour(Math.max(...shapes.flat()));
    const bytes = 4 * sizes.reduce((sum, size) => sum + size, 2 * widest);
    this.memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
    this.numbers = new Float32Array(this.memory.buffer);
    this.x = 0;
    this.y = widest;
    this.free = 2 * widest; // where the next matrix begins, in numbers
    const module = new WebAssembly.Module(/** @type {BufferSource} */ (assemble(PRODUCT)));
    const { multiply } = new WebAssembly.Instance(module, { page: { memory: this.memory } }).exports;
    this.product = /** @type {(w: number, x: number, y: number, rows: number, bytes: number) => void} */ (multiply);
  }
}

/** A matrix in the memory of WebAssembly, with zeros after its rows and columns up to multiples of four. */
class WasmMatrix {
  /** @param {WasmMemory} memory @param {Float32Array} numbers @param {number} columns */
  constructor(memory, numbers, columns) {
    this.memory = memory;
    this.rows = numbers.length / columns;
    this.columns = columns;
    this.width = upToFour(columns);
    this.start = memory.free;
    memory.free += upToFour(this.rows) * this.width;
    for (let row = 0; row < this.rows; row++) {
      memory.numbers.set(numbers.subarray(row * columns, (row + 1) * columns), this.start + row * this.width);
    }
  }

  /** @param {Float32Array} x */
  multiply(x) {
    const { memory, rows, columns, width } = this;
    memory.numbers.set(x, memory.x);
    memory.numbers.fill(0, memory.x + columns, memory.x + width);
    memory.product(4 * this.start, 4 * memory.x, 4 * memory.y, upToFour(rows), 4 * width);
    return memory.numbers.slice(memory.y, memory.y + rows);
  }

  /** @param {number} row */
  row(row) {
    const start = this.start + row * this.width;
    return this.memory.numbers.slice(start, start + this.columns);
  }
}

/** @type {MakeMatrix} */
const makePlainMatrix = (numbers, columns) => new PlainMatrix(numbers, columns);

/**
 * The quickest way to make matrices here.
 * @param {[number, number][]} shapes of all that will be made
 * @param {boolean} plain true: plain JavaScript
 * @returns {{makeMatrix: MakeMatrix, way: string}} with the way in words
 */
export function chooseMatrices(shapes, plain = false) {
  if (!plain) {
    try {
      const memory = new WasmMemory(shapes);
      return { makeMatrix: (numbers, columns) => new WasmMatrix(memory, numbers, columns), way: "WebAssembly" };
    } catch {
      // an old browser, one that forbids WebAssembly, or too little memory in one piece
    }
  }
  return { makeMatrix: makePlainMatrix, way: "JavaScript" };
}

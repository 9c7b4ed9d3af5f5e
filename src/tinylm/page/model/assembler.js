/**
 * An assembler for WebAssembly: one function, as flat text, becomes the bytes of a module. It knows the instructions
 * that
 * product.js needs, and what it does not know is an error. (https://webassembly.github.io/spec/core/binary)
 */

/** @typedef {(string | Tree)[]} Tree */

const I32 = 0x7f;
/** @type {Record<string, number>} */
const TYPES = { i32: I32, f32: 0x7d, v128: 0x7b };
const SIMD = 0xfd;
/** Instructions -> their bytes. @type {Record<string, number[]>} */
const CODES = {
  block: [0x02],
  loop: [0x03],
  end: [0x0b],
  br: [0x0c],
  br_if: [0x0d],
  "local.get": [0x20],
  "local.set": [0x21],
  "local.tee": [0x22],
  "i32.const": [0x41],
  "i32.add": [0x6a],
  "i32.mul": [0x6c],
  "i32.ge_u": [0x4f],
  "i32.lt_u": [0x49],
  "f32.const": [0x43],
  "f32.add": [0x92],
  "f32.store": [0x38, 2, 0], // aligned to 2^2 bytes, no offset
  "v128.load": [SIMD, 0x00, 4, 0],
  "f32x4.splat": [SIMD, 0x13],
  "f32x4.extract_lane": [SIMD, 0x1f],
  "f32x4.add": [SIMD, 0xe4, 0x01],
  "f32x4.mul": [SIMD, 0xe6, 0x01],
};

/**
 * The bytes of a module with one import, a memory, and one exported function without a result.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function assemble(text) {
  const [, memory, func] = parse(text);
  const [, importModule, importName] = /** @type {string[]} */ (memory);
  const exported = parts(func, "export")[0][1];
  const parameters = parts(func, "param");
  const locals = parts(func, "local");
  const names = [...parameters, ...locals].map((each) => each[1]);
  const body = [...declared(locals), ...instructions(/** @type {string[]} */ (bareWords(func)), names), ...CODES.end];
  return Uint8Array.from([
    ..."\0asm".split("").map((letter) => letter.charCodeAt(0)),
    1,
    0,
    0,
    0,
    ...section(1, [0x60, ...list(parameters.map((each) => [TYPES[each[2]]])), 0]),
    ...section(2, [...name(importModule), ...name(importName), 2, 0, 1]), // a memory of one page or more
    ...section(3, [0]),
    ...section(7, [...name(exported), 0, 0]),
    ...section(10, [...unsigned(body.length), ...body]),
  ]);
}

/** A section with one entry. @param {number} number @param {number[]} entry */
const section = (number, entry) => [number, ...unsigned(entry.length + 1), 1, ...entry];
/** @param {number[][]} entries */
const list = (entries) => [...unsigned(entries.length), ...entries.flat()];
/** @param {string} quoted */
const name = (quoted) =>
  list(
    JSON.parse(quoted)
      .split("")
      .map((/** @type {string} */ letter) => [letter.charCodeAt(0)]),
  );

/** The list of lists that a text is. @param {string} text @returns {Tree} */
function parse(text) {
  /** @type {Tree[]} */
  const open = [[]];
  for (const token of text.replace(/;;.*/g, "").match(/[()]|"[^"]*"|[^\s()"]+/g) ?? []) {
    if (token === "(") open.push([]);
    else if (token === ")") open[open.length - 2].push(/** @type {Tree} */ (open.pop()));
    else open[open.length - 1].push(token);
  }
  return /** @type {Tree} */ (open[0][0]);
}

/** The lists within a list that begin with a word. @param {string | Tree} tree @param {string} word */
function parts(tree, word) {
  return /** @type {string[][]} */ (
    Array.isArray(tree) ? tree.filter((each) => each[0] === word && Array.isArray(each)) : []
  );
}

/** The words of a function outside of any list: its instructions. @param {string | Tree} tree */
const bareWords = (tree) => (Array.isArray(tree) ? tree.slice(1).filter((each) => !Array.isArray(each)) : []);

/** The declarations of locals: neighbours of one type are counted together. @param {string[][]} locals */
function declared(locals) {
  /** @type {[number, number][]} */
  const groups = [];
  for (const [, , type] of locals) {
    const last = groups[groups.length - 1];
    if (last?.[1] === TYPES[type]) last[0]++;
    else groups.push([1, TYPES[type]]);
  }
  return list(groups.map(([count, type]) => [...unsigned(count), type]));
}

/** The bytes of instructions. @param {string[]} body @param {string[]} names of parameters and locals */
function instructions(body, names) {
  /** @type {number[]} */
  const bytes = [];
  /** @type {string[]} */
  const labels = []; // of the blocks that are open
  for (let i = 0; i < body.length; i++) {
    const word = body[i];
    if (!(word in CODES)) throw new Error(`unknown instruction ${word}`);
    bytes.push(...CODES[word]);
    if (word === "block" || word === "loop") {
      labels.push(body[++i]);
      bytes.push(0x40); // leaves nothing
    } else if (word === "end") labels.pop();
    else if (word.startsWith("br")) bytes.push(labels.length - 1 - known(labels, body[++i]));
    else if (word.startsWith("local.")) bytes.push(known(names, body[++i]));
    else if (word === "i32.const") bytes.push(...signed(Number(body[++i])));
    else if (word === "f32.const") bytes.push(...new Uint8Array(Float32Array.of(Number(body[++i])).buffer));
    else if (word.endsWith("_lane")) bytes.push(Number(body[++i]));
  }
  return bytes;
}

/** @param {string[]} names @param {string} wanted */
function known(names, wanted) {
  const index = names.lastIndexOf(wanted);
  if (index < 0) throw new Error(`unknown name ${wanted}`);
  return index;
}

/** A number in LEB128. @param {number} value @returns {number[]} */
function unsigned(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
}

/** A number with a sign in LEB128. @param {number} value @returns {number[]} */
function signed(value) {
  return value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}

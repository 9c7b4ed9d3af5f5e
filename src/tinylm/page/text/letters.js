/**
 * GPT-2's letters for bytes: printable bytes are themselves, the others are numbered from U+0100 on.
 */

/** @type {string[]} letters by byte */
export const LETTERS = [];
/** @type {Map<string, number>} letter -> byte */
const BYTES = new Map();

for (let byte = 0, others = 0; byte < 256; byte++) {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
  LETTERS.push(String.fromCharCode(printable ? byte : 256 + others++));
  BYTES.set(LETTERS[byte], byte);
}

/** @param {string} letters */
export function fromLetters(letters) {
  return Uint8Array.from(letters, (letter) => BYTES.get(letter) ?? 0);
}

/** @param {Uint8Array} bytes */
export function toLetters(bytes) {
  return Array.from(bytes, (byte) => LETTERS[byte]);
}

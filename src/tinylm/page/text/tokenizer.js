/**
 * Tokenizers: text to ids and back, by words, characters or byte-level BPE, as text/tokenizer.py makes them.
 */

import { BytePairs } from "./byte_pairs.js";
import { fromLetters } from "./letters.js";

/**
 * A tokenizer as the page holds it.
 * @typedef {object} TokenizerData
 * @property {"char" | "word" | "bpe"} kind
 * @property {string[]} entries of all ids; those of BPE spell their bytes in GPT-2's letters
 * @property {number[]} hidden ids that stand for no text, such as `<bos>`
 * @property {number | null} unk the id for an unknown word
 * @property {number[]} prefix ids before a prompt
 * @property {number} start the id before an empty prompt
 * @property {number[]} ends ids that end a text
 * @property {string} white_space of words: the inside of a class of regular expressions
 * @property {string[]} spelled_out words that would be special tokens
 * @property {import("./byte_pairs.js").BytePairsData} [byte_pairs] of BPE
 */

/** An error for what a tokenizer does not know, as a sentence for people. */
export class UnknownText extends Error {}

/** Converts text to ids and back. */
export class Tokenizer {
  /** @param {TokenizerData} data */
  constructor(data) {
    this.data = data;
    this.hidden = new Set(data.hidden);
    const encoder = new TextEncoder();
    this.bytes = data.entries.map((entry) => (data.kind === "bpe" ? fromLetters(entry) : encoder.encode(entry)));
    this.ids = new Map(data.entries.map((entry, id) => [entry, id]));
    for (const id of data.hidden) this.ids.delete(data.entries[id]);
    this.split = data.kind === "word" ? this.splitWords(data) : Array.from;
    this.pairs = data.byte_pairs && new BytePairs(data.byte_pairs, this.ids);
  }

  /** The ids of a prompt, with those before its text. @param {string} text @throws {UnknownText} */
  encodePrompt(text) {
    const ids = [...this.data.prefix, ...this.encode(text)];
    return ids.length ? ids : [this.data.start];
  }

  /** The ids of the text alone. @param {string} text @returns {number[]} @throws {UnknownText} */
  encode(text) {
    if (this.pairs) return this.pairs.encode(text);
    const units = this.split(text);
    const unknown = [...new Set(units.filter((unit) => !this.ids.has(unit)))];
    if (unknown.length && this.data.unk === null) {
      const what = this.data.kind === "word" ? "vocabulary" : "alphabet";
      throw new UnknownText(`not in the ${what} of this model: ${unknown.slice(0, 8).map(quote).join(", ")}`);
    }
    return units.map((unit) => this.ids.get(unit) ?? /** @type {number} */ (this.data.unk));
  }

  /** The text of one token, for people: bytes that are no whole character look like <0xE2>. @param {number} id */
  token(id) {
    let text = "";
    for (let bytes = this.bytes[id]; bytes.length;) {
      const size = [1, 2, 3, 4].find((length) => decoded(bytes.subarray(0, length)));
      text += size ? decoded(bytes.subarray(0, size)) : `<0x${bytes[0].toString(16).toUpperCase().padStart(2, "0")}>`;
      bytes = bytes.subarray(size ?? 1);
    }
    return text;
  }

  /** The text of ids. @param {number[]} ids */
  decode(ids) {
    const pieces = new Detokenizer(this);
    return ids.map((id) => pieces.push(id)).join("") + pieces.finish();
  }

  /** @param {TokenizerData} data @returns {(text: string) => string[]} */
  splitWords({ white_space, spelled_out }) {
    const gap = new RegExp(`[${white_space}]+`, "u");
    const special = new Set(spelled_out); // typed, it is two words: text never becomes a control token
    return (text) =>
      text
        .split(gap)
        .filter(Boolean)
        .flatMap((word) => (special.has(word) ? ["<", word.slice(1)] : [word]));
  }
}

/** Turns ids into text one by one; all pieces joined are the text, and no piece ends within a character. */
export class Detokenizer {
  /** @param {Tokenizer} tokenizer */
  constructor(tokenizer) {
    this.tokenizer = tokenizer;
    this.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this.between = ""; // blanks before the next word
  }

  /** @param {number} id */
  push(id) {
    if (this.tokenizer.hidden.has(id)) return "";
    const text = this.between + this.decoder.decode(this.tokenizer.bytes[id], { stream: true });
    if (this.tokenizer.data.kind === "word") this.between = " ";
    return text;
  }

  /** What is left after the last id. */
  finish() {
    return this.decoder.decode();
  }
}

/** @param {string} unit */
const quote = (unit) => JSON.stringify(unit);

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The text of whole characters; none of other bytes. @param {Uint8Array} bytes */
function decoded(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return "";
  }
}

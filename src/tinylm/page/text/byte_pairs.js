/**
 * Byte-level BPE: a text is cut into words, and the bytes of a word are merged pair by pair, the earliest merge first.
 */

import { toLetters } from "./letters.js";

/**
 * @typedef {object} BytePairsData
 * @property {[number, number][]} merges ids of pairs that become one token, the earliest first
 * @property {string[]} cuts regular expressions, each of which cuts every piece of a text around its matches
 * @property {string | null} normalize a Unicode normal form
 * @property {string[]} whole texts that are entries by themselves
 * @property {boolean} whole_words true: a word that is an entry is that entry, whatever the merges say
 */

const MAX_CACHED_WORDS = 20000;

/** Encodes texts by merges. */
export class BytePairs {
  /** @param {BytePairsData} data @param {Map<string, number>} ids of entries in GPT-2's letters */
  constructor(data, ids) {
    this.data = data;
    this.ids = ids;
    const entries = new Map(Array.from(ids, ([entry, id]) => [id, entry]));
    /** @type {Map<string, {rank: number, id: number}>} */
    this.merges = new Map(
      data.merges.map(([left, right], rank) => {
        const merged = `${entries.get(left)}${entries.get(right)}`;
        return [`${left} ${right}`, { rank, id: /** @type {number} */ (ids.get(merged)) }];
      }),
    );
    this.cuts = data.cuts.map((cut) => new RegExp(cut, "gu"));
    const escaped = data.whole.map((text) => text.replace(/[$()*+.?[\\\]^{|}/-]/g, "\\$&"));
    this.whole = escaped.length ? new RegExp(escaped.join("|"), "gu") : null;
    this.encoder = new TextEncoder();
    /** @type {Map<string, number[]>} */
    this.known = new Map();
  }

  /** @param {string} text @returns {number[]} */
  encode(text) {
    const pieces = this.whole ? cutAround([text], this.whole) : [text];
    return pieces.flatMap((piece) => {
      const id = this.data.whole.includes(piece) ? this.ids.get(this.spell(piece)) : undefined;
      return id === undefined ? this.words(piece).flatMap((word) => this.encodeWord(word)) : [id];
    });
  }

  /** @param {string} text */
  words(text) {
    const normal = this.data.normalize ? text.normalize(this.data.normalize) : text;
    return this.cuts.reduce(cutAround, [normal]);
  }

  /** @param {string} word @returns {number[]} */
  encodeWord(word) {
    let ids = this.known.get(word);
    if (!ids) {
      const whole = this.data.whole_words ? this.ids.get(this.spell(word)) : undefined;
      ids = whole === undefined ? this.merge(toLetters(this.encoder.encode(word))) : [whole];
      if (this.known.size >= MAX_CACHED_WORDS) this.known.clear();
      this.known.set(word, ids);
    }
    return ids;
  }

  /** The bytes of a text in GPT-2's letters. @param {string} text */
  spell(text) {
    return toLetters(this.encoder.encode(text)).join("");
  }

  /** Merges, of all pairs that lie side by side, that of the lowest rank wherever it lies, until no pair is left.
   * @param {string[]} letters */
  merge(letters) {
    let ids = letters.map((letter) => /** @type {number} */ (this.ids.get(letter)));
    for (;;) {
      /** @type {{rank: number, id: number} | undefined} */
      let first;
      let pair = "";
      for (let i = 0; i + 1 < ids.length; i++) {
        const found = this.merges.get(`${ids[i]} ${ids[i + 1]}`);
        if (found && (!first || found.rank < first.rank)) {
          first = found;
          pair = `${ids[i]} ${ids[i + 1]}`;
        }
      }
      if (!first) return ids;
      const merged = [];
      for (let i = 0; i < ids.length; i++) {
        if (i + 1 < ids.length && `${ids[i]} ${ids[i + 1]}` === pair) {
          merged.push(first.id);
          i++;
        } else merged.push(ids[i]);
      }
      ids = merged;
    }
  }
}

/**
 * Cuts each piece around the matches of a regular expression, which stay pieces.
 * @param {string[]} pieces
 * @param {RegExp} cut
 */
function cutAround(pieces, cut) {
  return pieces.flatMap((piece) => {
    const parts = [];
    let end = 0;
    for (const match of piece.matchAll(cut)) {
      parts.push(piece.slice(end, match.index), match[0]);
      end = match.index + match[0].length;
    }
    return [...parts, piece.slice(end)].filter(Boolean);
  });
}

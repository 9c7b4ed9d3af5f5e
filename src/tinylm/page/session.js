/**
 * A session: one model with one text, the settings, and the position that the views look at. Views listen to its
 * changes.
 */

import { Reading, switchOff } from "./model/reading.js";
import { chooseNext, countIds, explainChoice, uniform } from "./sampling/sampler.js";
import { softmax } from "./sampling/filters.js";

/** @typedef {import("./model/transformer.js").TinyLM} TinyLM */
/** @typedef {import("./text/tokenizer.js").Tokenizer} Tokenizer */
/** @typedef {import("./sampling/filters.js").SamplingParams} SamplingParams */
/** A setting of sampling with its words and its slider.
 * @typedef {{name: string, help: string, about: string, value: number, lowest: number, highest: number, step:
 *   number}} Setting */
/** Settings of sampling, which several sessions can share: values by name, and the seed that a person chose.
 * @typedef {{values: Record<string, number>, greedy: boolean, seed: number | undefined}} Settings */
/**
 * What a page knows of a model (page/facts.py).
 * @typedef {object} Facts
 * @property {string} name
 * @property {string} card
 * @property {number} parameters
 * @property {string} dtype
 * @property {import("./model/weights.js").ModelConfig} config
 * @property {Setting[]} settings
 * @property {boolean} greedy
 * @property {{name: string, shape: string, about: string}[]} taps
 * @property {{letter: string, about: string, size: number | null}[]} axes
 * @property {[number, number | null][]} bias
 * @property {import("./text/tokenizer.js").TokenizerData} tokenizer
 * @property {import("./model/weights.js").StoredTensor[]} tensors
 * @property {import("./text/conversation.js").ChatForm | null} chat of a model that answers
 */

/** Milliseconds of computing after which the page may draw and hear. */
const TURN = 40;
const FIRST_TOKENS = { char: 12, word: 3, bpe: 4 }; // of the text that a page opens with

/** The settings that a model was saved with. @param {Facts} facts @returns {Settings} */
export function settingsOf({ settings, greedy }) {
  const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
  return { values, greedy, seed: undefined };
}

/** One model with one text. */
export class Session {
  /** @param {Facts} facts @param {TinyLM} model @param {Tokenizer} tokenizer @param {Settings} settings */
  constructor(facts, model, tokenizer, settings = settingsOf(facts)) {
    this.facts = facts;
    this.model = model;
    this.tokenizer = tokenizer;
    this.reading = new Reading(model);
    /** The same text in the whole model, while parts are off. */
    this.baseline = new Reading(model);
    /** Names of heads and MLPs that are off. @type {Set<string>} */
    this.off = new Set();
    this.nPrompt = 0;
    /** The index of the id after which the views look at the next token. */
    this.cursor = 0;
    this.isBusy = false;
    this.status = "";
    this.settings = settings;
    this.seed = 0; // of the text that is there
    /** @type {(() => void)[]} */
    this.listeners = [];
    this.work = 0; // the number of the newest piece of work: older ones end
  }

  /** @param {() => void} listener is called after each change */
  listen(listener) {
    this.listeners.push(listener);
  }

  /** Forgets its listeners, whose views are gone. */
  unlisten() {
    this.listeners = [];
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  /** What an activation of a layer is, in Python's words. @param {string} name such as "attn.pattern" */
  aboutTap(name) {
    return this.facts.taps.find((tap) => tap.name === `layers.i.${name}`)?.about ?? "";
  }

  /** @returns {SamplingParams} */
  get params() {
    const { values, greedy } = this.settings;
    return /** @type {SamplingParams} */ (/** @type {unknown} */ ({ ...values, greedy }));
  }

  /** Begins with some likeliest tokens, so that there is something to see. */
  async open() {
    if (this.facts.chat) return this.setPrompt("");
    this.restart(this.tokenizer.encodePrompt(""));
    const count = Math.min(FIRST_TOKENS[this.tokenizer.data.kind], this.facts.config.context_length - 1);
    const params = { ...this.params, repetition_penalty: 1, greedy: true };
    for (let i = 0; i < count; i++) {
      const { bias } = this.facts;
      const id = chooseNext(this.reading.finish(), new Map(), params, i ? bias : [...bias, ...this.blanks()], 0);
      if (this.tokenizer.hidden.has(id)) break;
      this.reading.push(id);
    }
    await this.setPrompt(this.tokenizer.decode(this.reading.ids));
  }

  /** Bans tokens that nobody sees. @returns {[number, null][]} */
  blanks() {
    const ids = [...this.facts.tokenizer.entries.keys()].filter((id) => !this.tokenizer.token(id).trim());
    return ids.map((id) => [id, null]);
  }

  /** Begins a new text. @param {string} text @throws {import("./text/tokenizer.js").UnknownText} */
  async setPrompt(text) {
    this.restart(this.tokenizer.encodePrompt(text));
    await this.busy("reading", async () => "");
  }

  /** @param {number[]} ids */
  restart(ids) {
    this.reading.restart(ids);
    this.nPrompt = ids.length;
    this.cursor = ids.length - 1;
  }

  /** Writes anew from the prompt. @param {number} most tokens at most */
  async write(most = this.settings.values.max_tokens) {
    if (this.reading.ids.length > this.nPrompt) this.restart(this.reading.ids.slice(0, this.nPrompt));
    this.seed = this.settings.seed ?? Math.floor(Math.random() * 2 ** 32);
    await this.goOn(most);
  }

  /** Writes on. @param {number} count of tokens at most */
  async goOn(count) {
    await this.busy("writing", async (pause) => {
      const started = performance.now();
      let written = 0;
      for (; written < count && !(await pause()); written++) {
        const id = this.next();
        if (this.tokenizer.data.ends.includes(id)) return this.told(written, started, "the model ended the text");
        this.reading.push(id);
        this.reading.finish();
        this.cursor = this.reading.ids.length - 1;
      }
      return this.told(written, started, written < count ? "stopped" : "");
    });
  }

  /** The id that comes next. */
  next() {
    const { ids } = this.reading;
    const random = uniform(BigInt(this.seed), ids.length - this.nPrompt);
    return chooseNext(this.reading.finish(), countIds(ids), this.params, this.facts.bias, random);
  }

  /** @param {number} written @param {number} started @param {string} end */
  told(written, started, end) {
    const speed = written / ((performance.now() - started) / 1000);
    const count = `${written} ${written === 1 ? "token" : "tokens"}`;
    const dropped = this.reading.dropped
      ? `the model no longer sees ${this.reading.dropped} tokens at the front`
      : "";
    return [written > 1 ? `${count}, ${Math.round(speed)} a second` : count, end, dropped].filter(Boolean).join("; ");
  }

  /** Lets no other piece of work go on, reads what is unread, and does the work.
   * @param {string} status @param {(pause: () => Promise<boolean>) => Promise<string>} work gives the status after
   *   it */
  async busy(status, work) {
    const number = ++this.work;
    let turn = performance.now();
    const pause = async () => {
      if (performance.now() - turn > TURN) {
        this.changed();
        await new Promise((resolve) => setTimeout(resolve, 0));
        turn = performance.now();
      }
      return this.work !== number;
    };
    this.isBusy = true;
    this.status = `${status} …`;
    while (this.reading.advance()) if (await pause()) return;
    const after = await work(pause);
    if (this.work !== number) return;
    this.isBusy = false;
    this.status = after;
    this.changed();
  }

  /** Ends what goes on. */
  async stop() {
    await this.busy("stopping", async () => "stopped");
  }

  /** Puts another id in the place of one, and forgets what came after. @param {number} index @param {number} id */
  async branch(index, id) {
    this.reading.truncate(index);
    this.reading.push(id);
    this.nPrompt = Math.min(this.nPrompt, index + 1);
    this.cursor = index;
    await this.busy("reading", async () => "");
  }

  /** Looks at the next token after another id. @param {number} index */
  look(index) {
    this.cursor = index;
    this.changed();
  }

  /** Switches a head or an MLP off, or on again. @param {string} name */
  async toggle(name) {
    if (!this.off.delete(name)) this.off.add(name);
    await this.reread();
  }

  /** Reads the text again with the parts that are on. */
  async reread() {
    const { ids } = this.reading;
    this.reading = new Reading(this.model, this.off.size ? switchOff(this.off, this.facts.config.d_head) : undefined);
    this.reading.restart(ids);
    await this.busy("reading", async () => "");
  }

  /** The distribution after the cursor, and what the filters do to it. None while it is not read. */
  choice() {
    const logits = this.reading.logits[this.cursor];
    const counts = countIds(this.reading.ids.slice(0, this.cursor + 1));
    return logits && explainChoice(logits, counts, this.params, this.facts.bias);
  }

  /** The probabilities after the cursor in the whole model, while parts are off. @returns {Float32Array | undefined} */
  baselineProbs() {
    if (!this.off.size || this.isBusy) return undefined;
    const ids = this.reading.ids.slice(0, this.cursor + 1);
    const same = this.baseline.ids.length >= ids.length && ids.every((id, i) => id === this.baseline.ids[i]);
    if (!same) {
      this.baseline.restart(ids);
      this.baseline.finish();
    }
    const logits = this.baseline.logits[this.cursor];
    return logits && softmax(logits);
  }
}

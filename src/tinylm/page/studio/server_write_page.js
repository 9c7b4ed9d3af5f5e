/**
 * Writing with a model that is too large for the browser: the studio computes, and the text comes line by line.
 */

import { element, panel, percent, visibleText, words } from "../views/dom.js";
import { markToken, surpriseLegend, tokenItem, tokenList } from "../views/token_list.js";
import { request, route } from "./api.js";
import { explainText } from "./asked.js";
import { actionButton, problemLine } from "./controls.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {{id: number, token: string, probability: number}} Guess */
/** A piece of the text: its ids, and what else could have stood there.
 * @typedef {{ids: number[], text: string, probabilities: (number | null)[], next: Guess[][]}} Piece */

const SETTINGS = ["temperature", "top_k", "top_p", "max_tokens"];

/** @param {Card} card @returns {Promise<import("./controls.js").StudioPage>} */
export async function serverWritePage({ id }) {
  const problem = problemLine();
  const prompt = element("textarea", { id: "prompt", rows: 2, spellcheck: false, dir: "auto" });
  const settings = SETTINGS.map((name) =>
    element("input", { type: "number", id: name, step: "any", placeholder: "its own" }),
  );
  const others = element("div", { class: "buttons", role: "status" });
  /** @type {Piece[]} */
  let pieces = [];
  let asked = new AbortController();
  const box = tokenList((index) => {
    markToken(box, index);
    others.replaceChildren(...(pieces[index].next[0] ?? []).map((guess) => guessButton(index, guess)));
  });
  const add = (/** @type {Piece} */ piece) => {
    if (!piece.ids.length && !piece.text) return;
    const [probability] = piece.probabilities;
    box.append(
      tokenItem({ index: pieces.length, id: piece.ids[0], text: piece.text, name: piece.text, probability }),
    );
    pieces.push(piece);
  };
  const writeOn = async () => {
    asked.abort();
    asked = new AbortController();
    const values = settings.filter(({ value }) => value !== "").map((each) => [each.id, Number(each.value)]);
    const body = JSON.stringify({ ids: pieces.flatMap(({ ids }) => ids), settings: Object.fromEntries(values) });
    const headers = { "Content-Type": "application/json" };
    const options = { method: "POST", headers, body, signal: asked.signal };
    await readLines(await request(route("models", id, "write"), options), asked.signal, add);
  };
  const restart = async () => {
    const { tokens = [] } = await explainText(id, { text: prompt.value, show: "tokens" });
    pieces = [];
    box.replaceChildren();
    for (const { id: token, token: text, probability } of tokens) {
      add({ ids: [token], text: `${visibleText(text)} `, probabilities: [probability], next: [] });
    }
    await writeOn();
  };
  /** Puts another token in the place of one, and writes on from there. @param {number} index @param {Guess} guess */
  const guessButton = (index, guess) =>
    actionButton(`${visibleText(guess.token)} ${percent(guess.probability)}`, problem, async () => {
      pieces = pieces.slice(0, index);
      box.replaceChildren(...[...box.children].slice(0, index));
      add({ ids: [guess.id], text: `${visibleText(guess.token)} `, probabilities: [guess.probability], next: [] });
      await writeOn();
    });
  const stop = element("button", { type: "button", on: { click: () => asked.abort() } }, "Stop");
  const content = panel(
    "Write",
    "This model is too large for the browser: the studio computes it.",
    element("label", { htmlFor: prompt.id }, "The beginning of a text"),
    prompt,
    problem,
    element(
      "div",
      { class: "buttons" },
      actionButton("Write", problem, restart, "main"),
      actionButton("Go on", problem, () => (pieces.length ? writeOn() : restart())),
      stop,
    ),
    box,
    others,
    surpriseLegend("Click a token that it wrote to see what else could stand there."),
    element("div", { class: "buttons" }, ...settings.map((each) => element("label", {}, `${words(each.id)} `, each))),
  );
  return { content, leave: () => asked.abort() };
}

/** Hands on the lines of an answer as they come; ends in silence when it was called off.
 * @param {Response} response @param {AbortSignal} signal @param {(piece: Piece) => void} add */
async function readLines(response, signal, add) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map((each) => JSON.parse(each))) if (line.ids) add(line);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

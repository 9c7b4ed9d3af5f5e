/**
 * Writing with a model that is too large for the browser: the studio computes, and the text comes line by line.
 */

import { chatView } from "../views/chat_view.js";
import { element, panel, percent, plainButton, problemLine, textBox, visibleText, words } from "../views/dom.js";
import { markToken, surpriseLegend, tokenItem, tokenList } from "../views/token_list.js";
import { Refused, request, route } from "./api.js";
import { explainText } from "./asked.js";
import { actionButton } from "./controls.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("../text/conversation.js").Message} Message */
/** @typedef {{id: number, token: string, probability: number}} Guess */
/** A piece of the text: its ids, and what else could have stood there.
 * @typedef {{ids: number[], text: string, probabilities: (number | null)[], next: Guess[][]}} Piece */

const SETTINGS = ["temperature", "top_k", "top_p", "max_tokens"];

/** @param {Card} card @returns {Promise<import("./controls.js").StudioPage>} */
export async function serverWritePage({ id }) {
  const problem = problemLine();
  const prompt = textBox("prompt", 2);
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
    const body = { ids: pieces.flatMap(({ ids }) => ids), settings: Object.fromEntries(values) };
    await readPieces(id, body, asked.signal, add);
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
  const stop = plainButton("Stop", () => asked.abort());
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

/** A conversation with such a model. @param {Card} card @returns {Promise<import("./controls.js").StudioPage>} */
export async function serverChatPage({ id, name }) {
  let asked = new AbortController();
  const stop = () => asked.abort();
  const ask = async (/** @type {Message[]} */ messages, /** @type {(text: string) => void} */ show) => {
    asked = new AbortController();
    let text = "";
    await readPieces(id, { messages }, asked.signal, (piece) => show((text += piece.text)));
    return asked.signal.aborted ? "stopped" : "";
  };
  const isRefusal = (/** @type {unknown} */ error) => error instanceof Refused;
  return { content: chatView(name, { defaultSystem: "", ask, stop, isRefusal }), leave: stop };
}

/** Hands on the pieces of a text as they come; ends in silence when it was called off.
 * @param {string} id of the model @param {object} body @param {AbortSignal} signal
 * @param {(piece: Piece) => void} add */
async function readPieces(id, body, signal, add) {
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(body), signal };
  const response = await request(route("models", id, "write"), options);
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

/**
 * The lens: what each layer would say next, if it were the last.
 */

import { softmax } from "../sampling/filters.js";
import { element, panel } from "./dom.js";
import { fillLens } from "./lens_table.js";
import { likeliest } from "./ranking.js";

/** @typedef {import("../session.js").Session} Session */

const POSITIONS = 10;
const FEW_POSITIONS = 4; // where the output head is large
const LARGE_HEAD = 4e6; // numbers

/** @param {Session} session */
export function lensView(session) {
  const { n_layers: nLayers, d_model: dModel, vocab_size: vocabSize } = session.facts.config;
  const count = dModel * vocabSize > LARGE_HEAD ? FEW_POSITIONS : POSITIONS;
  const table = element("table", { class: "lens" });
  session.listen(() => {
    if (session.isBusy) return;
    const { reading } = session;
    const end = Math.max(0, reading.visible.indexOf(session.cursor)) + 1;
    const positions = [...reading.visible.keys()].slice(Math.max(0, end - count), end);
    const names = positions.map((position) => session.tokenizer.token(reading.ids[reading.visible[position]]));
    const layers = Array.from({ length: nLayers }, (_, i) => nLayers - 1 - i);
    const rows = layers.map((layer) => ({
      name: `layer ${layer}`,
      guesses: positions.map((position) => guess(session, layer, position)),
    }));
    fillLens(table, names, rows, names.length - 1);
  });
  return panel(
    "Lens",
    `What each layer would say next: ${session.aboutTap("resid_post")}, ` +
      "read through ln_f and out_head. The top row is the " +
      "model’s own prediction; below it, the layers before.",
    element("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Lens" }, table),
  );
}

/** What a layer would say after a position. @param {Session} session @param {number} layer @param {number} position */
function guess({ reading, model, tokenizer }, layer, position) {
  const stream = reading.activations[position].get(`layers.${layer}.resid_post`);
  if (!stream) return undefined;
  const probs = softmax(model.read(stream));
  const [best] = likeliest(probs, 1);
  return { token: tokenizer.token(best), probability: probs[best] };
}

/**
 * The lens: what each layer would say next, if it were the last.
 */

import { softmax } from "../sampling/filters.js";
import { element, panel, percent, visibleText } from "./dom.js";
import { likeliest } from "./ranking.js";

/** @typedef {import("../session.js").Session} Session */

const POSITIONS = 10;
const FEW_POSITIONS = 4; // where the output head is large
const LARGE_HEAD = 4e6; // numbers

/** @param {Session} session @param {string} about what the stream is, in Python's words */
export function lensView(session, about) {
  const { n_layers: nLayers, d_model: dModel, vocab_size: vocabSize } = session.facts.config;
  const count = dModel * vocabSize > LARGE_HEAD ? FEW_POSITIONS : POSITIONS;
  const table = element("table", { class: "lens" });
  session.listen(() => {
    if (session.isBusy) return;
    const { reading } = session;
    const end = Math.max(0, reading.visible.indexOf(session.cursor)) + 1;
    const positions = [...reading.visible.keys()].slice(Math.max(0, end - count), end);
    table.replaceChildren(
      element("thead", {}, headRow(session, positions)),
      element(
        "tbody",
        {},
        ...Array.from({ length: nLayers }, (_, i) => nLayers - 1 - i).map((layer) =>
          lensRow(session, layer, positions),
        ),
      ),
    );
  });
  return panel(
    "Lens",
    `What each layer would say next: ${about}, read through ln_f and out_head. The top row is the ` +
      "model’s own prediction; below it, the layers before.",
    element("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Lens" }, table),
  );
}

/** @param {Session} session @param {number[]} positions */
function headRow({ reading, tokenizer }, positions) {
  const names = positions.map((position) => visibleText(tokenizer.token(reading.ids[reading.visible[position]])));
  return element(
    "tr",
    {},
    element("th", { scope: "col" }, "after"),
    ...names.map((name) => element("th", { scope: "col" }, name)),
  );
}

/** @param {Session} session @param {number} layer @param {number[]} positions */
function lensRow({ reading, model, tokenizer }, layer, positions) {
  const cells = positions.map((position) => {
    const stream = reading.activations[position].get(`layers.${layer}.resid_post`);
    if (!stream) return element("td");
    const probs = softmax(model.read(stream));
    const [best] = likeliest(probs, 1);
    return element(
      "td",
      { style: { "--share": probs[best].toFixed(3) }, title: percent(probs[best]) },
      visibleText(tokenizer.token(best)),
      element("small", {}, percent(probs[best])),
    );
  });
  return element("tr", {}, element("th", { scope: "row" }, `layer ${layer}`), ...cells);
}

/**
 * Inside a model that is too large for the browser: the studio computes what `tinylm explain` shows of a sentence.
 */

import { element, panel, problemLine } from "../views/dom.js";
import { explanationView } from "../views/explanation/explanation_view.js";
import { explainText } from "./asked.js";
import { actionButton } from "./controls.js";
import { experimentsPanel } from "./experiments_panel.js";

/** @param {import("./controls.js").Card} card @returns {Promise<import("./controls.js").StudioPage>} */
export async function serverInsidePage({ id }) {
  const problem = problemLine();
  const found = element("div", {});
  const field = (/** @type {string} */ name) => element("input", { type: "text", id: name, spellcheck: false });
  const [sentence, head, off] = ["sentence", "head", "off"].map(field);
  const ask = (/** @type {Record<string, unknown>} */ options) =>
    explainText(id, { text: sentence.value, ...(off.value ? { off: off.value } : {}), ...options });
  const look = async () => {
    const show = "tokens,lens,attention,contributions";
    found.replaceChildren(...explanationView(await ask({ show, ...(head.value ? { head: head.value } : {}) })));
  };
  const row = (/** @type {HTMLInputElement} */ input, /** @type {string} */ label) =>
    element("p", {}, element("label", { htmlFor: input.id }, `${label} `), input);
  const content = panel(
    "The sentence",
    "This model is too large for the browser: the studio computes it.",
    row(sentence, "A sentence"),
    row(head, "Head whose attention is shown, such as 1.0 (layer 1, head 0)"),
    row(off, "Parts that are off, such as 0.1, 1.mlp"),
    problem,
    element("div", { class: "buttons" }, actionButton("Look inside", problem, look, "main")),
    found,
  );
  return { content: element("div", {}, content, experimentsPanel(ask)) };
}

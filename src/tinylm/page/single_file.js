/**
 * A page that is one file: the model lies in it, and runs in it.
 */

import { TinyLM } from "./model/transformer.js";
import { Weights } from "./model/weights.js";
import { contentOf, unpack } from "./page_data.js";
import { Session } from "./session.js";
import { Tokenizer } from "./text/tokenizer.js";
import { attentionView } from "./views/attention_view.js";
import { element } from "./views/dom.js";
import { factsView } from "./views/facts_view.js";
import { lensView } from "./views/lens_view.js";
import { nextView } from "./views/next_view.js";
import { openingView } from "./views/opening_view.js";
import { settingsView } from "./views/settings_view.js";

/** @typedef {import("./session.js").Facts} Facts */

/** The bytes that an element holds, packed by gzip and in base64. @param {string} id */
const weightsOf = (id) => unpack(new Blob([Uint8Array.from(atob(contentOf(id)), (letter) => letter.charCodeAt(0))]));

async function main() {
  const app = /** @type {HTMLElement} */ (document.getElementById("app"));
  /** @type {Facts} */
  const facts = JSON.parse(contentOf("facts"));
  const weights = new Weights(facts.tensors, await weightsOf("weights"), location.hash === "#plain");
  const session = new Session(facts, new TinyLM(facts.config, weights), new Tokenizer(facts.tokenizer));
  await session.open();
  app.replaceChildren(
    header(facts, weights.way),
    element(
      "div",
      { class: "columns" },
      element("div", { class: "write" }, openingView([session])),
      element("div", { class: "side" }, nextView(session), settingsView([session])),
      element(
        "div",
        { class: "inside" },
        attentionView(session),
        lensView(session),
      ),
    ),
    factsView(facts),
    element("footer", {}, "Made by tinylm. This page is one file: it opens offline and asks nobody for anything."),
  );
  session.changed();
}

/**
 * @param {Facts} facts
 * @param {string} way how products are computed
 */
function header({ name, parameters, config, dtype }, way) {
  const count = (/** @type {number} */ number) => number.toLocaleString("en");
  const layers = `${config.n_layers} ${config.n_layers === 1 ? "layer" : "layers"} of ${config.n_heads} heads`;
  const sizes = `${count(config.vocab_size)} tokens known, ${count(config.context_length)} seen at once`;
  const about = `${count(parameters)} parameters in ${dtype}: ${layers}, ${sizes}.`;
  const running = `It runs in ${way}, on this machine alone.`;
  return element(
    "header",
    {},
    element("p", { class: "kicker" }, "A language model in this page"),
    element("h1", {}, name),
    element("p", { class: "soft" }, `${about} ${running}`),
  );
}

/** @param {Error} error */
function fail(error) {
  const said = `This page cannot run its model: ${error.message}. A newer browser may.`;
  document.getElementById("app")?.replaceChildren(element("p", { class: "problem", role: "alert" }, said));
  throw error;
}

main().catch(fail);

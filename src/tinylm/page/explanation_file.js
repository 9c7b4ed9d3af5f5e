/**
 * A page that is one file: the explanation that lies in it, drawn.
 */

import { contentOf } from "./page_data.js";
import { element } from "./views/dom.js";
import { explanationView } from "./views/explanation/explanation_view.js";

/** @typedef {import("./views/explanation/explanation_view.js").ExplanationData & {model: string}} NamedExplanation */

/** @param {HTMLElement} app @param {NamedExplanation} data */
function showExplanation(app, data) {
  const changes = data.changes.length ? ` Changed: ${data.changes.join("; ")}.` : "";
  app.replaceChildren(
    element(
      "header",
      {},
      element("p", { class: "kicker" }, "What a language model computes on a text"),
      element("h1", {}, data.model),
      element("p", { dir: "auto" }, data.text),
      element("p", { class: "soft" }, `${data.ids.length} tokens.${changes}`),
    ),
    ...explanationView(data),
    element(
      "footer",
      {},
      "Made by tinylm explain. This page is one file: it opens offline and asks nobody for anything.",
    ),
  );
}

showExplanation(/** @type {HTMLElement} */ (document.getElementById("app")), JSON.parse(contentOf("explanation")));

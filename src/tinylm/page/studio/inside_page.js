/**
 * Inside a model: a sentence, what comes next, attention, the lens and contributions, with any part switched off; and
 * experiments.
 */

import { attentionView } from "../views/attention_view.js";
import { element } from "../views/dom.js";
import { lensView } from "../views/lens_view.js";
import { nextView } from "../views/next_view.js";
import { sentenceView } from "../views/write_view.js";
import { askAbout } from "./asked.js";
import { contributionsPanel } from "./contributions_panel.js";
import { experimentsPanel } from "./experiments_panel.js";
import { openModel } from "./model_store.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */

/** @param {Card} card @returns {Promise<StudioPage>} */
export async function insidePage(card) {
  const { session } = await openModel(card);
  const ask = askAbout(card.id, session);
  const content = element(
    "div",
    { class: "columns" },
    element("div", { class: "write" }, sentenceView(session, session.tokenizer.decode(session.reading.ids))),
    element("div", { class: "side" }, nextView(session), contributionsPanel(ask, session)),
    element(
      "div",
      { class: "inside" },
      attentionView(session),
      lensView(session),
      experimentsPanel(ask),
    ),
  );
  setTimeout(() => session.changed(), 0); // by then it is on the page, and its colours known
  return { content };
}

/**
 * The model of the lesson, live: the views of the single-file page, as far as a page of the lesson asks for them.
 */

import { TinyLM } from "../model/transformer.js";
import { Weights } from "../model/weights.js";
import { contentOf, unpack } from "../page_data.js";
import { Session } from "../session.js";
import { Tokenizer } from "../text/tokenizer.js";
import { attentionView } from "../views/attention_view.js";
import { lensView } from "../views/lens_view.js";
import { nextView } from "../views/next_view.js";
import { settingsView } from "../views/settings_view.js";
import { sentenceView, writeView } from "../views/write_view.js";

/** @typedef {import("../session.js").Facts} Facts */

/** @type {Record<string, (session: Session, text: string) => HTMLElement>} */
const LIVE_VIEWS = {
  write: (session, text) => writeView([session], text),
  sentence: sentenceView,
  next: nextView,
  settings: (session) => settingsView([session]),
  attention: attentionView,
  lens: lensView,
};

/** Shows the model where the page has a place for it. */
export async function showModel() {
  const place = document.getElementById("place.live");
  const packed = contentOf("data.weights");
  if (!place || !packed) return;
  /** @type {Facts} */
  const facts = JSON.parse(contentOf("data.facts"));
  const bytes = await unpack(new Blob([Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0))]));
  const weights = new Weights(facts.tensors, bytes);
  const session = new Session(facts, new TinyLM(facts.config, weights), new Tokenizer(facts.tokenizer));
  const text = place.dataset.text ?? "";
  await session.setPrompt(text);
  const views = (place.dataset.views ?? "").split(" ").map((name) => LIVE_VIEWS[name](session, text));
  place.append(...views);
  session.changed();
}

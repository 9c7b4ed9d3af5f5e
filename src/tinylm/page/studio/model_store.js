/**
 * Models that the page runs itself: each is fetched once, and its text stays from page to page.
 */

import { TinyLM } from "../model/transformer.js";
import { Weights } from "../model/weights.js";
import { unpack } from "../page_data.js";
import { Session } from "../session.js";
import { Tokenizer } from "../text/tokenizer.js";
import { get, request, route } from "./api.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {{session: Session, settings: import("../session.js").Settings, stamp: string}} OpenModel */

const MOST_OPEN = 3;

/** @type {Map<string, OpenModel>} */
const openModels = new Map();

/** A model that is ready to read and write. Its views of an earlier page are forgotten.
 * @param {Card} card @returns {Promise<OpenModel>} @throws {import("./api.js").Refused} */
export async function openModel({ id, date = "" }) {
  const known = openModels.get(id);
  if (known?.stamp === date) {
    known.session.unlisten();
    return known;
  }
  const [facts, packed] = await Promise.all([
    get(route("models", id, "facts")),
    request(route("models", id, "weights")).then((response) => response.blob()),
  ]);
  const weights = new Weights(facts.tensors, await unpack(packed));
  const session = new Session(facts, new TinyLM(facts.config, weights), new Tokenizer(facts.tokenizer));
  await session.open();
  const opened = { session, settings: session.settings, stamp: date };
  openModels.set(id, opened);
  if (openModels.size > MOST_OPEN) openModels.delete([...openModels.keys()][0]);
  return opened;
}

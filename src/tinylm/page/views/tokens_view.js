/**
 * The text of a session, token by token.
 */

import { Detokenizer } from "../text/tokenizer.js";
import { alternativesTip } from "./alternatives.js";
import { element, visibleText } from "./dom.js";
import { markToken, tokenItem, tokenList } from "./token_list.js";

/** @typedef {import("../session.js").Session} Session */

/** @param {Session} session */
export function tokensView(session) {
  const box = tokenList((index) => {
    if (index > 0) session.look(index - 1); // what could stand in its place
  });
  const tip = alternativesTip(session, box);
  /** @type {number[]} */
  let shown = [];
  let pieces = new Detokenizer(session.tokenizer);
  session.listen(() => {
    const { ids } = session.reading;
    const read = session.reading.unread.length ? session.reading.unread[0] : ids.length;
    if (!(shown.length <= read && shown.every((id, i) => id === ids[i]) && box.dataset.off === offName(session))) {
      shown = [];
      pieces = new Detokenizer(session.tokenizer);
      box.replaceChildren();
      tip.hidden = true;
    }
    box.dataset.off = offName(session);
    for (let i = shown.length; i < read; i++) {
      box.append(itemOf(session, i, pieces.push(ids[i])));
      shown.push(ids[i]);
    }
    markToken(box, session.cursor + 1);
  });
  return element("div", {}, box, tip);
}

/** @param {Session} session */
const offName = (session) => [...session.off].sort().join(" ");

/** @param {Session} session @param {number} index @param {string} text */
function itemOf({ reading, tokenizer, nPrompt }, index, text) {
  const id = reading.ids[index];
  const name = visibleText(tokenizer.token(id));
  const isHidden = tokenizer.hidden.has(id);
  const style = `${index < nPrompt ? "given" : ""} ${isHidden ? "special" : ""}`;
  return tokenItem({ index, id, text: isHidden ? name : text, name, probability: reading.probability(index), style });
}

/**
 * What a page of a model begins with: a conversation with a model that answers, or a text to write on.
 */

import { chatPrompt, TooLong } from "../text/conversation.js";
import { UnknownText } from "../text/tokenizer.js";
import { chatView } from "./chat_view.js";
import { element, fold } from "./dom.js";
import { surpriseLegend } from "./token_list.js";
import { tokensView } from "./tokens_view.js";
import { ABOUT_TOKENS, writeView } from "./write_view.js";

/** @typedef {import("../session.js").Session} Session */

/** @param {Session[]} sessions one, or two that write side by side */
export function openingView(sessions) {
  const [{ facts, tokenizer, reading, nPrompt }] = sessions;
  if (facts.chat && sessions.length === 1) return sessionChat(sessions[0], facts.chat);
  return writeView(sessions, tokenizer.decode(reading.ids.slice(0, nPrompt)));
}

/** A conversation with the model of a session, and the same as the model reads it.
 * @param {Session} session @param {import("../text/conversation.js").ChatForm} form */
function sessionChat(session, form) {
  const { facts, tokenizer } = session;
  let follow = () => {}; // shows the answer so far
  session.listen(() => follow());
  const view = chatView(facts.name, {
    defaultSystem: form.default_system,
    stop: () => session.stop(),
    isRefusal: (error) => error instanceof UnknownText || error instanceof TooLong,
    ask: async (messages, show) => {
      const { context_length: length } = facts.config;
      const most = session.settings.values.max_tokens;
      const { ids, dropped } = chatPrompt(form, tokenizer, messages, length, most);
      follow = () => show(tokenizer.decode(session.reading.ids.slice(ids.length)));
      session.restart(ids);
      await session.write(Math.min(most, length + 1 - ids.length)); // an answer ends where the context does
      follow();
      follow = () => {};
      return session.status + (dropped ? `; the oldest questions no longer fit: ${dropped}` : "");
    },
  });
  return element("div", {}, view, fold("As the model reads it", tokensView(session), surpriseLegend(ABOUT_TOKENS)));
}

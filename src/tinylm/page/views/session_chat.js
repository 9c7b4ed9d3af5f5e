/**
 * A conversation with the model of a session, and the same conversation as the model reads it.
 */

import { chatPrompt, TooLong } from "../text/conversation.js";
import { UnknownText } from "../text/tokenizer.js";
import { chatView } from "./chat_view.js";
import { element } from "./dom.js";
import { surpriseLegend } from "./token_list.js";
import { tokensView } from "./tokens_view.js";

/** @typedef {import("../session.js").Session} Session */

/** @param {Session} session @param {import("../text/conversation.js").ChatForm} form */
export function sessionChat(session, form) {
  const { facts, tokenizer } = session;
  /** Shows the answer so far. */
  let follow = () => {};
  session.listen(() => follow());
  const view = chatView(facts.name, {
    defaultSystem: form.default_system,
    stop: () => session.stop(),
    isRefusal: (error) => error instanceof UnknownText || error instanceof TooLong,
    ask: async (messages, show) => {
      const { max_tokens: most } = session.settings.values;
      const { ids, dropped } = chatPrompt(form, tokenizer, messages, facts.config.context_length, most);
      follow = () => show(tokenizer.decode(session.reading.ids.slice(ids.length)));
      session.restart(ids);
      await session.write();
      follow();
      follow = () => {};
      return session.status + (dropped ? `; the first ${dropped} questions no longer fit` : "");
    },
  });
  const tokens = element(
    "details",
    {},
    element("summary", {}, "As the model reads it"),
    tokensView(session),
    surpriseLegend("Click a token, or press Enter on it, to see what else could stand there."),
  );
  return element("div", {}, view, tokens);
}

/**
 * Conversations to ids, as chat/chat_format.py and chat/prompt.py make them. The format is data that Python writes.
 */

/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */
/** What one side says in one turn. @typedef {{role: string, content: string}} Message */
/** A text, or the id of a special token. @typedef {string | number} Mark */
/**
 * A chat format (page/chat_data.py).
 * @typedef {object} ChatForm
 * @property {Record<string, [Mark[], Mark[]]>} turns what stands before and after the text of each role
 * @property {Mark[]} begin
 * @property {Mark[]} asks what stands after the last question
 * @property {string} default_system
 * @property {[string, string]} around_system
 * @property {boolean} trims
 * @property {string} forgets_until
 * @property {number} answer_share
 */

/** An error for a question that a model does not see whole, as a sentence for people. */
export class TooLong extends Error {}

/** The messages with the default system text; or with their system text in the first question.
 * @param {ChatForm} form @param {Message[]} messages */
function withSystem({ turns, default_system: content, around_system: [before, after] }, messages) {
  const [system, question, ...rest] = messages;
  if (turns.system) return content && system.role !== "system" ? [{ role: "system", content }, ...messages] : messages;
  if (system.role !== "system") return messages;
  return [{ role: question.role, content: before + system.content + after + question.content }, ...rest];
}

/** The text of a message, as far as the format writes it.
 * @param {ChatForm} form @param {Message} message @param {string} blanks the inside of a class */
function writtenText({ trims, forgets_until: end }, { role, content }, blanks) {
  const kept =
    role === "assistant" && end && content.includes(end)
      ? content.slice(content.lastIndexOf(end) + end.length).replace(/^\n+/, "")
      : content;
  return trims ? kept.replace(new RegExp(`^[${blanks}]+|[${blanks}]+$`, "gu"), "") : kept;
}

/** The ids of a conversation. If the user speaks last, the model's answer follows them.
 * @param {ChatForm} form @param {Tokenizer} tokenizer @param {Message[]} messages
 * @throws {import("./tokenizer.js").UnknownText} */
export function encodeConversation(form, tokenizer, messages) {
  const said = withSystem(form, messages).flatMap((message) => {
    const [before, after] = form.turns[message.role];
    return [...before, writtenText(form, message, tokenizer.data.white_space), ...after];
  });
  /** @type {number[]} */
  const ids = [];
  let text = ""; // texts that follow each other are one
  for (const mark of [...form.begin, ...said, ...(messages.at(-1)?.role === "user" ? form.asks : [])]) {
    if (typeof mark === "string") text += mark;
    else {
      ids.push(...tokenizer.encode(text), mark);
      text = "";
    }
  }
  return [...ids, ...tokenizer.encode(text)];
}

/** The ids after which a model answers, with room for the answer: of a longer conversation the oldest questions are
 * left out, each with its answer. The last message is a question, and may leave less room than that.
 * @param {ChatForm} form @param {Tokenizer} tokenizer @param {Message[]} messages
 * @param {number} contextLength tokens that the model sees at once @param {number} maxTokens of the answer
 * @throws {TooLong} */
export function chatPrompt(form, tokenizer, messages, contextLength, maxTokens) {
  const room = Math.max(1, Math.min(maxTokens, Math.floor(contextLength / form.answer_share)));
  const system = messages[0].role === "system" ? 1 : 0;
  for (let dropped = 0; system + 2 * dropped < messages.length; dropped++) {
    const kept = [...messages.slice(0, system), ...messages.slice(system + 2 * dropped)];
    const ids = encodeConversation(form, tokenizer, kept);
    const isLast = kept.length === system + 1;
    if (ids.length <= (isLast ? contextLength : contextLength + 1 - room)) return { ids, dropped };
  }
  throw new TooLong(`The question is too long: this model sees ${contextLength} tokens at once.`);
}

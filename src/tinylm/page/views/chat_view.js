/**
 * A conversation with a model: what was said, and a box for the next question.
 */

import { element, fold, panel, plainButton, problemLine, statusLine, textBox, uniqueId } from "./dom.js";

/** @typedef {import("../text/conversation.js").Message} Message */
/** Who answers: by the model in the page, or by a server. `ask` shows the answer as it grows, and gives words on it.
 * @typedef {{defaultSystem: string, ask: (messages: Message[], show: (text: string) => void) => Promise<string>,
 *   stop: () => void, isRefusal: (error: unknown) => boolean}} Answerer */

/** @param {string} name of the model @param {Answerer} answerer */
export function chatView(name, { defaultSystem, ask, stop, isRefusal }) {
  /** @type {Message[]} */
  let said = [];
  const log = element("div", { class: "chat", role: "log", "aria-label": "The conversation", tabIndex: 0 });
  const problem = problemLine();
  const status = statusLine();
  const system = textBox(uniqueId("system"), 2, { placeholder: defaultSystem });
  const box = textBox(uniqueId("question"), 2);
  const show = (/** @type {Message} */ { role, content }) => {
    const text = element("p", { dir: "auto" }, content);
    log.append(element("div", { class: `said ${role}` }, element("b", {}, role === "user" ? "You" : name), text));
    log.scrollTop = log.scrollHeight;
    return text;
  };
  const showAll = (/** @type {Message[]} */ messages) => {
    log.replaceChildren();
    said = messages;
    said.forEach(show);
  };
  const answer = async () => {
    const text = show({ role: "assistant", content: "" });
    status.textContent = "answering …";
    setBusy(true);
    try {
      const first = system.value ? [{ role: "system", content: system.value }] : [];
      status.textContent = await ask([...first, ...said], (grown) => {
        text.textContent = grown;
        log.scrollTop = log.scrollHeight;
      });
      said.push({ role: "assistant", content: text.textContent ?? "" });
    } catch (error) {
      box.value = said.at(-1)?.content ?? "";
      showAll(said.slice(0, -1));
      status.textContent = "";
      if (!isRefusal(error)) throw error;
      problem.textContent = /** @type {Error} */ (error).message;
    } finally {
      setBusy(false);
      box.focus();
    }
  };
  const send = async () => {
    if (!box.value.trim() || sending.disabled) return;
    problem.textContent = "";
    said.push({ role: "user", content: box.value });
    show(said[said.length - 1]);
    box.value = "";
    await answer();
  };
  const retry = async () => {
    if (said.length) showAll(said.slice(0, -1));
    if (said.length) await answer();
  };
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  const sending = plainButton("Send", send, "main");
  const stopping = plainButton("Stop", stop);
  const others = [plainButton("Answer anew", retry), plainButton("Start over", () => showAll([]))];
  const setBusy = (/** @type {boolean} */ isBusy) => {
    sending.disabled = isBusy;
    stopping.disabled = !isBusy;
    for (const each of others) each.disabled = isBusy || !said.length;
  };
  setBusy(false);
  return panel(
    "Conversation",
    "",
    fold("System text", element("label", { htmlFor: system.id }, "What the model is told at first"), system),
    log,
    element("label", { htmlFor: box.id }, "Your question"),
    box,
    problem,
    element("div", { class: "buttons" }, sending, stopping, ...others, status),
  );
}

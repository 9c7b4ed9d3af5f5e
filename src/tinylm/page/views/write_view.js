/**
 * Writing: the prompt, and the text that one model makes of it, or two side by side.
 */

import { UnknownText } from "../text/tokenizer.js";
import { element, panel, plainButton, problemLine, statusLine, textBox } from "./dom.js";
import { surpriseLegend } from "./token_list.js";
import { tokensView } from "./tokens_view.js";

/** @typedef {import("../session.js").Session} Session */

const TYPING_PAUSE = 250; // milliseconds without a key after which a prompt is read
/** What a click on a token does. */
export const ABOUT_TOKENS =
  "Click a token, or press Enter on it, to see what else could stand there and go on from that.";

/** @param {Session[]} sessions models that write from the same prompt @param {string} prompt that stands there first */
export function writeView(sessions, prompt) {
  const { box, problem, button } = promptBox(sessions, prompt, "The beginning of a text");
  const write = button("Write", (session) => session.write(), "main");
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write.click();
  });
  return panel(
    "Write",
    "",
    element("label", { htmlFor: "prompt" }, "The beginning of a text"),
    box,
    problem,
    element(
      "div",
      { class: "buttons" },
      write,
      button("One token", (session) => session.goOn(1)),
      button("Go on", (session) => session.goOn(session.settings.values.max_tokens)),
      stopButton(sessions),
      sessions.length === 1 && statusOf(sessions[0]),
    ),
    sessions.length === 1 ? tokensView(sessions[0]) : sideBySide(sessions),
    surpriseLegend(ABOUT_TOKENS),
  );
}

/** A sentence that a model reads, without writing on. @param {Session} session @param {string} prompt */
export function sentenceView(session, prompt) {
  const { box, problem } = promptBox([session], prompt, "A sentence");
  return panel(
    "The sentence",
    "Type any sentence: everything below follows it as you type.",
    box,
    problem,
    tokensView(session),
    surpriseLegend("Click a token, or press Enter on it, to look at its place."),
    element("div", { class: "buttons" }, statusOf(session)),
  );
}

/** The box of a prompt, which models read as it is typed.
 * @param {Session[]} sessions @param {string} prompt @param {string} label */
function promptBox(sessions, prompt, label) {
  const problem = problemLine();
  const box = textBox("prompt", 2, { value: prompt });
  box.setAttribute("aria-label", label);
  let before = box.value;
  let timer = 0;
  /** @param {(session: Session) => Promise<void>} action */
  const attempt = async (action) => {
    clearTimeout(timer);
    try {
      problem.textContent = "";
      const isNew = box.value !== before;
      await Promise.all(
        sessions.map(async (session) => {
          if (isNew) await session.setPrompt(box.value);
          await action(session);
        }),
      );
      before = box.value;
    } catch (error) {
      if (!(error instanceof UnknownText)) throw error;
      problem.textContent = error.message;
    }
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(async () => {}), TYPING_PAUSE);
  });
  /** @param {string} name @param {(session: Session) => Promise<void>} action @param {string} [style] */
  const button = (name, action, style = "") =>
    plainButton(name, () => attempt(action), style);
  return { box, problem, button };
}

/** @param {Session[]} sessions */
function stopButton(sessions) {
  const stop = plainButton("Stop", () => sessions.forEach((session) => session.stop()));
  for (const session of sessions) {
    session.listen(() => {
      stop.disabled = !sessions.some(({ isBusy }) => isBusy);
    });
  }
  return stop;
}

/** @param {Session} session */
function statusOf(session) {
  const status = statusLine();
  session.listen(() => {
    status.textContent = session.status;
  });
  return status;
}

/** @param {Session[]} sessions */
function sideBySide(sessions) {
  return element(
    "div",
    { class: "pair" },
    ...sessions.map((session) =>
      element("div", {}, element("h3", {}, session.facts.name), tokensView(session), statusOf(session)),
    ),
  );
}

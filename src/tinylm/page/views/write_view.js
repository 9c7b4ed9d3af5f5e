/**
 * Writing: the prompt, and the text token by token, each coloured by its probability.
 */

import { UnknownText, Detokenizer } from "../text/tokenizer.js";
import { element, panel, percent, visibleText } from "./dom.js";
import { indexOf, showAlternatives } from "./alternatives.js";

/** @typedef {import("../session.js").Session} Session */

const TYPING_PAUSE = 250; // milliseconds without a key after which a prompt is read
const SURPRISE = 10; // bits at which a colour is deepest

/** @param {Session} session @param {string} prompt that stands there at first */
export function writeView(session, prompt) {
  const problem = element("p", { class: "problem", role: "alert" });
  const status = element("span", { class: "soft", role: "status" });
  const box = element("textarea", { id: "prompt", rows: 2, value: prompt, spellcheck: false, dir: "auto" });
  /** @param {() => Promise<void>} action */
  const attempt = async (action) => {
    try {
      problem.textContent = "";
      await action();
    } catch (error) {
      if (!(error instanceof UnknownText)) throw error;
      problem.textContent = error.message;
    }
  };
  const read = promptReader(session, box);
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(read), TYPING_PAUSE);
  });
  /** @param {string} label @param {() => Promise<void>} action @param {string} [style] */
  const button = (label, action, style = "") =>
    element(
      "button",
      {
        type: "button",
        class: style,
        on: {
          click: () =>
            attempt(async () => {
              clearTimeout(timer);
              await read();
              await action();
            }),
        },
      },
      label,
    );
  const write = button("Write", () => session.write(), "main");
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write.click();
  });
  const stop = element("button", { type: "button", on: { click: () => session.stop() } }, "Stop");
  session.listen(() => {
    stop.disabled = !session.isBusy;
    status.textContent = session.status;
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
      button("One token", () => session.goOn(1)),
      button("Go on", () => session.goOn(session.values.max_tokens)),
      stop,
      status,
    ),
    tokensView(session),
    legend(),
  );
}

/**
 * Gives the session the prompt, where it is another than before.
 * @param {Session} session
 * @param {HTMLTextAreaElement} box
 */
function promptReader(session, box) {
  let before = box.value;
  return async () => {
    if (box.value === before) return;
    await session.setPrompt(box.value);
    before = box.value;
  };
}

function legend() {
  const shades = [0, 0.25, 0.5, 0.75, 1].map((depth) =>
    element("i", { class: "token", style: { "--surprise": depth } }),
  );
  return element(
    "p",
    { class: "legend soft" },
    "expected ",
    ...shades,
    " surprising. Click a token, or press Enter on it, to see what else could stand there and go on from that.",
  );
}

/** The text as one element a token. @param {Session} session */
function tokensView(session) {
  const box = element("div", {
    class: "text",
    role: "listbox",
    "aria-label": "The text, token by token",
    dir: "auto",
  });
  const hide = showAlternatives(session, box);
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
      hide();
    }
    box.dataset.off = offName(session);
    for (let i = shown.length; i < read; i++) {
      box.append(tokenElement(session, i, pieces.push(ids[i])));
      shown.push(ids[i]);
    }
    mark(session, box);
  });
  box.addEventListener("click", (event) => choose(session, event.target));
  box.addEventListener("keydown", (event) => steer(session, box, event));
  return box;
}

/** @param {Session} session */
const offName = (session) => [...session.off].sort().join(" ");

/** @param {Session} session @param {number} index @param {string} text */
function tokenElement(session, index, text) {
  const { reading, tokenizer } = session;
  const probability = reading.probability(index);
  const surprise = probability === undefined ? 0 : Math.min(1, -Math.log2(probability) / SURPRISE);
  const name = visibleText(tokenizer.token(reading.ids[index]));
  const label = probability === undefined ? name : `${name}, ${percent(probability)}`;
  const isHidden = tokenizer.hidden.has(reading.ids[index]);
  return element(
    "span",
    {
      class: `token${index < session.nPrompt ? " given" : ""}${isHidden ? " special" : ""}`,
      role: "option",
      tabIndex: -1,
      "aria-label": label,
      "data-index": index,
      "data-id": reading.ids[index],
      style: { "--surprise": surprise.toFixed(3) },
    },
    isHidden ? name : text,
  );
}

/**
 * Marks the token in whose place the views look: the one after the cursor.
 * @param {Session} session
 * @param {HTMLElement} box
 */
function mark(session, box) {
  for (const each of box.querySelectorAll("[aria-selected=true]")) each.setAttribute("aria-selected", "false");
  const chosen = box.children[session.cursor + 1];
  chosen?.setAttribute("aria-selected", "true");
  if (!box.querySelector("[tabindex='0']")) box.children[0]?.setAttribute("tabindex", "0");
}

/** Looks at what could stand in a token's place. @param {Session} session @param {EventTarget | null} target */
function choose(session, target) {
  const index = indexOf(target);
  if (index > 0) session.look(index - 1);
}

/** Moves among tokens by keys. @param {Session} session @param {HTMLElement} box @param {KeyboardEvent} event */
function steer(session, box, event) {
  const index = indexOf(event.target);
  if (index < 0) return;
  const last = box.children.length - 1;
  /** @type {Record<string, number>} */
  const targets = {
    ArrowLeft: index - 1,
    ArrowUp: index - 1,
    ArrowRight: index + 1,
    ArrowDown: index + 1,
    Home: 0,
    End: last,
  };
  if (event.key === "Enter" || event.key === " ") choose(session, event.target);
  else if (!(event.key in targets)) return;
  event.preventDefault();
  const next = box.children[Math.max(0, Math.min(last, targets[event.key] ?? index))];
  if (!(next instanceof HTMLElement)) return;
  box.querySelector("[tabindex='0']")?.setAttribute("tabindex", "-1");
  next.tabIndex = 0;
  next.focus();
}

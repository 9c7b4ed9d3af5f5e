/**
 * A new model: its text, its time, its name; what was read, and what the training would be.
 */

import { element, panel, problemLine } from "../views/dom.js";
import { get, send } from "./api.js";
import { actionButton, attempting, pageHeading, timeInWords } from "./controls.js";
import { textsView } from "./texts_view.js";

/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {import("./texts_view.js").GivenText} GivenText */

/** Minutes that the slider stops at. */
const MINUTES = [1 / 3, 0.5, 1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 480];
const PAUSE = 400; // milliseconds without a change after which the plan is asked for

/** @param {number} minutesDefault @returns {Promise<StudioPage>} */
export async function newPage(minutesDefault) {
  const { texts } = await get("/api/texts");
  const problem = problemLine();
  const name = element("input", { type: "text", id: "model-name", autocomplete: "off", spellcheck: false });
  let isOwnName = false;
  name.addEventListener("input", () => {
    isOwnName = name.value !== "";
  });
  const time = timeSlider(minutesDefault);
  const plan = planView();
  const given = textsView(texts, () => {
    const chosen = given.chosen();
    if (!isOwnName) name.value = chosen.length ? nameFor(chosen[0].name) : "";
    start.disabled = !chosen.length;
    plan.ask(chosen, time.minutes());
  });
  time.slider.addEventListener("input", () => plan.ask(given.chosen(), time.minutes()));
  const start = actionButton(
    "Start training",
    problem,
    async () => {
      const keys = given.chosen().map(({ text }) => text);
      const { id } = await send("/api/runs", { texts: keys, minutes: time.minutes(), name: name.value.trim() });
      location.hash = `#/model/${encodeURIComponent(id)}/live`;
    },
    "main",
  );
  start.disabled = true;
  const content = element(
    "div",
    { class: "steps" },
    pageHeading("A new model"),
    panel(
      "1. Its text",
      "What it shall learn to write like. The more the better; 100 kB is a beginning.",
      given.content,
    ),
    panel("2. Its time", "How long it may learn. You can stop earlier, and go on later.", time.content, plan.content),
    panel(
      "3. Its name",
      "",
      element("p", {}, element("label", { htmlFor: name.id }, "What the model is called"), " ", name),
      problem,
      element("div", { class: "buttons" }, start),
    ),
  );
  return { content, leave: plan.leave };
}

/** A name for a model, from that of its text. @param {string} file */
function nameFor(file) {
  return file.replace(/\.[^.]*$/, "").slice(0, 60) || "model";
}

/** @param {number} minutesDefault */
function timeSlider(minutesDefault) {
  const nearest = MINUTES.reduce(
    (best, each, i) => (Math.abs(each - minutesDefault) < Math.abs(MINUTES[best] - minutesDefault) ? i : best),
    0,
  );
  const slider = element("input", { type: "range", id: "minutes", min: 0, max: MINUTES.length - 1, step: 1 });
  slider.value = String(nearest);
  const said = element("output", { htmlFor: slider.id });
  const minutes = () => MINUTES[Number(slider.value)];
  const show = () => {
    said.textContent = timeInWords(60 * minutes());
    slider.setAttribute("aria-valuetext", said.textContent);
  };
  slider.addEventListener("input", show);
  show();
  const label = element("label", { htmlFor: slider.id }, "Train for ");
  return { slider, minutes, content: element("div", { class: "time" }, label, said, slider) };
}

/** What the training would be, asked for anew after each change; a question that is no longer asked is called back. */
function planView() {
  const problem = problemLine();
  const rows = element("ul", { class: "plan" });
  const status = element("p", { class: "soft", role: "status" });
  let timer = 0;
  let asked = new AbortController();
  const leave = () => {
    clearTimeout(timer);
    asked.abort();
    asked = new AbortController();
  };
  const show = async (
    /** @type {string[]} */ texts,
    /** @type {number} */ minutes,
    /** @type {AbortSignal} */ signal,
  ) => {
    const plan = await send("/api/plan", { texts, minutes }, { signal }).catch((error) => {
      if (!signal.aborted) throw error;
    });
    if (signal.aborted) return;
    const sentences = /** @type {string[]} */ (plan.sentences);
    rows.replaceChildren(...sentences.map((sentence) => element("li", {}, sentence)));
  };
  const ask = (/** @type {GivenText[]} */ texts, /** @type {number} */ minutes) => {
    leave();
    status.textContent = texts.length ? "Planning …" : "The plan stands here as soon as there is a text.";
    if (!texts.length) return rows.replaceChildren();
    const { signal } = asked;
    timer = setTimeout(async () => {
      await attempting(problem, () =>
        show(
          texts.map(({ text }) => text),
          minutes,
          signal,
        ),
      );
      if (!signal.aborted) status.textContent = "";
    }, PAUSE);
  };
  ask([], 0);
  const content = element("div", { "aria-label": "The plan", role: "group" }, rows, status, problem);
  return { ask, content, leave };
}

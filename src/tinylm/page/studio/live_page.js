/**
 * The training of a model as it goes on: curves, samples, remarks, the time that is left; stop, and go on.
 */

import { element, fold, panel, problemLine } from "../views/dom.js";
import { get, route, send } from "./api.js";
import { lossChart } from "./chart.js";
import { actionButton, linkButton, timeInWords } from "./controls.js";
import { RunHistory } from "./run_history.js";

/** @typedef {import("./run_history.js").News} News */
/** @typedef {import("./controls.js").StudioPage} StudioPage */

const OFTEN = 1000; // milliseconds between two questions while the training goes on
const SELDOM = 4000;
const MINUTES_MORE = [1, 5, 15, 60];

/** @param {string} id @param {Record<string, string>} labels of baselines
 * @param {() => Promise<void>} renewTabs is called when there is more to see of the model than before
 * @returns {Promise<StudioPage>} */
export async function livePage(id, labels, renewTabs) {
  const history = new RunHistory();
  const problem = problemLine();
  const status = element("p", { class: "lead", role: "status" });
  const chart = element("figure", { class: "wide" });
  const buttons = element("div", { class: "buttons" });
  const samples = element("ol", { class: "samples" });
  const remarks = element("ul", { class: "remarks" });
  const log = element("pre", {});
  let timer = 0;
  let shown = "";
  const look = async () => {
    const news = /** @type {News} */ (await get(`${route("runs", id)}?after=${history.next}`));
    history.add(news);
    const baselines = Object.entries(news.baselines).map(([name, bits]) => [labels[name] ?? name, bits]);
    status.textContent = stateInWords(news, history);
    if (history.steps.length) {
      const place = chart.clientWidth || 800;
      chart.replaceChildren(lossChart(history, /** @type {[string, number][]} */ (baselines), place), caption());
    }
    samples.replaceChildren(...[...news.samples].reverse().map(sampleItem));
    remarks.replaceChildren(...remarksOf(news));
    log.textContent = news.log_tail.join("\n");
    const now = JSON.stringify([news.state, news.can_resume, history.validations.length]);
    if (now !== shown) {
      buttons.replaceChildren(...buttonsFor(id, news, history, problem, look));
      await renewTabs();
    }
    shown = now;
    return news;
  };
  const watch = async () => {
    let wait = SELDOM;
    try {
      const news = await look();
      problem.textContent = "";
      wait = news.more ? 0 : news.state === "training" ? OFTEN : SELDOM;
    } catch (error) {
      problem.textContent = /** @type {Error} */ (error).message; // and it is asked again: the studio may come back
    }
    timer = setTimeout(watch, wait);
  };
  const content = element(
    "div",
    {},
    status,
    buttons,
    problem,
    panel("How well it does", "", chart),
    panel("Remarks", "", remarks),
    panel("What it writes", "A few words at each measurement, the newest first.", samples),
    fold("What the training prints", log),
  );
  setTimeout(watch, 0); // by then the page is shown, and the chart knows its width
  return { content, leave: () => clearTimeout(timer) };
}

/** @param {News} news @param {RunHistory} history */
function stateInWords({ state, error, seconds_left: left, minutes, text }, { step, best }) {
  const of = text ? ` from ${text}` : "";
  const steps = step ? `, ${step.toLocaleString("en")} steps so far` : "; the first step takes some seconds";
  const bits =
    best === undefined ? "" : ` At its best it needs ${best.toFixed(2)} bits for each byte of unseen text.`;
  if (state === "training") {
    const rest = left ? `: ${timeInWords(left)} left${minutes ? ` of ${timeInWords(60 * minutes)}` : ""}` : "";
    return `It is learning${of}${rest}${steps}.${bits} You may close this page: it goes on.`;
  }
  if (state === "stopped")
    return `The training was stopped after ${step.toLocaleString("en")} steps.${bits} It can go on.`;
  if (state === "failed") return `The training failed. ${error ?? ""}`;
  return step
    ? `The training is over, after ${step.toLocaleString("en")} steps.${bits}`
    : "There are no records of a training.";
}

function caption() {
  return element(
    "figcaption",
    { class: "soft" },
    "Bits for each byte of text; less is better. The line with dots is measured on text that the model does not " +
      "learn from, the faint one on what it learns from; dashed lines are what plain counting reaches.",
  );
}

/** @param {string} id @param {News} news @param {RunHistory} history @param {HTMLElement} problem
 * @param {() => Promise<News>} look */
function buttonsFor(id, { state, can_resume: canResume, minutes }, { validations }, problem, look) {
  const post = (/** @type {string} */ what, /** @type {unknown} */ body) => async () => {
    const { gone } = await send(route("runs", id, what), body);
    if (gone)
      location.hash = "#/"; // it had not begun to learn, and left nothing
    else await look();
  };
  const place = `#/model/${encodeURIComponent(id)}/write`;
  const found = [];
  if (validations.length) found.push(linkButton(place, "Write with it", state === "training" ? "" : "main"));
  if (state === "training") return [actionButton("Stop", problem, post("stop", {})), ...found];
  if (!canResume) return found;
  if (state === "stopped") found.push(actionButton("Go on", problem, post("resume", {})));
  const more = element("select", { "aria-label": "How much longer" });
  more.append(...MINUTES_MORE.map((each) => element("option", { value: String(each) }, timeInWords(60 * each))));
  const longer = actionButton("Train longer", problem, () =>
    post("resume", { minutes: (minutes ?? 0) + Number(more.value) })(),
  );
  return [...found, element("span", { class: "pairing" }, longer, more)];
}

/** @param {News["samples"][0]} sample */
function sampleItem({ step, prompt, text }) {
  return element(
    "li",
    {},
    element("span", { class: "soft" }, `step ${step.toLocaleString("en")}`),
    element("p", { dir: "auto" }, element("b", {}, prompt), text),
  );
}

/** @param {News} news */
function remarksOf({ sentences, state }) {
  const none = state === "training" ? "Nothing looks wrong so far." : "Nothing in its records looks wrong.";
  return (sentences.length ? sentences : [none]).map((sentence) => element("li", {}, sentence));
}

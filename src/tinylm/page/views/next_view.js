/**
 * The next token: the model's own probabilities as outlines, and as bars what the settings make of them.
 */

import { element, percent, visibleText, words } from "./dom.js";
import { likeliest } from "./ranking.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../sampling/sampler.js").Choice} Choice */

const BARS = 12;

/** @param {Session} session */
export function nextView(session) {
  const heading = element("h2", { id: "about-next" }, "Next token");
  const list = element("ol", { class: "bars" });
  const summary = element("p", { class: "soft" });
  session.listen(() => {
    const choice = session.choice();
    if (!choice) return;
    const actual = session.reading.ids[session.cursor + 1];
    heading.textContent =
      actual === undefined ? "Next token" : `In place of “${visibleText(session.tokenizer.token(actual))}”`;
    const ids = likeliest(choice.own, BARS);
    if (actual !== undefined && !ids.includes(actual)) ids[ids.length - 1] = actual;
    const baseline = session.baselineProbs();
    const longest = Math.max(
      ...ids.map((id) => Math.max(choice.own[id], choice.probs[id], baseline ? baseline[id] : 0)),
    );
    list.replaceChildren(...ids.map((id) => bar(session, choice, id, { actual, longest, baseline })));
    summary.textContent = summaryOf(choice, baseline !== undefined);
  });
  return element(
    "section",
    { "aria-labelledby": heading.id },
    heading,
    element(
      "p",
      { class: "soft" },
      "Outline: the model’s own probability. Bar: after the settings. Click one to take it.",
    ),
    list,
    summary,
  );
}

/** @param {Session} session @param {Choice} choice @param {number} id
 * @param {{actual: number | undefined, longest: number, baseline: Float32Array | undefined}} beside */
function bar(session, { own, probs, cut }, id, { actual, longest, baseline }) {
  const token = visibleText(session.tokenizer.token(id));
  const by = cut.get(id);
  const after = by ? `cut: ${words(by)}` : percent(probs[id]);
  const was = baseline ? `; ${percent(baseline[id])} with all parts on` : "";
  const style = {
    "--own": own[id] / longest,
    "--after": probs[id] / longest,
    "--was": baseline ? baseline[id] / longest : 0,
  };
  return element(
    "li",
    {},
    element(
      "button",
      {
        type: "button",
        class: id === actual ? "actual" : "",
        title: `Take it${was}`,
        on: { click: () => session.branch(session.cursor + 1, id) },
      },
      element("span", { class: "name" }, token),
      " ",
      element(
        "span",
        { class: baseline ? "bar was" : "bar", style },
        element("i", { class: "own" }),
        element("i", { class: "after" }),
      ),
      element("span", { class: "number" }, percent(own[id])),
      " ",
      element("span", { class: by ? "number cut" : "number" }, after),
    ),
  );
}

/** @param {Choice} choice @param {boolean} hasBaseline */
function summaryOf({ own, cut }, hasBaseline) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const by of cut.values()) counts.set(by, (counts.get(by) ?? 0) + 1);
  const cuts = Array.from(counts, ([by, count]) => `${words(by)} cuts ${count.toLocaleString("en")}`);
  let bits = 0;
  for (const probability of own) if (probability > 0) bits -= probability * Math.log2(probability);
  const kept = `${(own.length - cut.size).toLocaleString("en")} of ${own.length.toLocaleString("en")} tokens can come`;
  const mark = hasBaseline ? " The thin line is the whole model’s probability." : "";
  return `${[kept, ...cuts].join("; ")}. As uncertain as among ${(2 ** bits).toFixed(1)} equally likely tokens.${mark}`;
}

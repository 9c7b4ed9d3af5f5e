/**
 * Settings of sampling: a slider and a number for each. Words, defaults and ranges come from Python.
 */

import { element, panel, words } from "./dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../session.js").Setting} Setting */

const FIRST = 3; // settings that are seen at once: temperature, top-k, top-p

/** @param {Session} session */
export function settingsView(session) {
  const rows = session.facts.settings.map((setting) => settingRow(session, setting));
  const greedy = element("input", { type: "checkbox", id: "greedy", checked: session.greedy });
  greedy.addEventListener("change", () => {
    session.greedy = greedy.checked;
    session.changed();
  });
  return panel(
    "Settings",
    "",
    element("label", { class: "check", htmlFor: "greedy" }, greedy, "greedy: always the likeliest token"),
    ...rows.slice(0, FIRST),
    element("details", {}, element("summary", {}, "More settings"), ...rows.slice(FIRST), seedRow(session)),
  );
}

/** @param {Session} session @param {Setting} setting */
function settingRow(session, { name, help, about, lowest, highest, step }) {
  const id = `setting-${name}`;
  const range = { min: lowest, max: highest, step, value: session.values[name] };
  const slider = element("input", { type: "range", id, "aria-describedby": `${id}-about`, ...range });
  const number = element("input", {
    type: "number",
    "aria-label": words(name),
    step: "any",
    value: session.values[name],
  });
  const set = (/** @type {HTMLInputElement} */ from, /** @type {HTMLInputElement} */ to) => {
    if (from.value === "" || Number(from.value) < lowest || (name !== "top_k" && Number(from.value) > highest))
      return;
    to.value = from.value;
    session.values[name] = Number(from.value);
    session.changed();
  };
  slider.addEventListener("input", () => set(slider, number));
  number.addEventListener("input", () => set(number, slider));
  return element(
    "div",
    { class: "setting" },
    element("label", { htmlFor: id }, words(name)),
    number,
    slider,
    element("p", { class: "soft", id: `${id}-about` }, [help, about].filter(Boolean).join("; ")),
  );
}

/** @param {Session} session */
function seedRow(session) {
  const seed = element("input", { type: "number", id: "seed", min: 0, step: 1, placeholder: "any" });
  seed.addEventListener("input", () => {
    session.fixedSeed = seed.value === "" ? undefined : Math.abs(Math.trunc(Number(seed.value)));
  });
  return element(
    "div",
    { class: "setting" },
    element("label", { htmlFor: "seed" }, "seed"),
    seed,
    element("p", { class: "soft" }, "the same seed gives the same text, here and in tinylm generate --seed"),
  );
}

/**
 * Settings of sampling: a slider and a number for each. Words, defaults and ranges come from Python.
 */

import { element, fold, panel, words } from "./dom.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../session.js").Setting} Setting */

const FIRST = 3; // settings that are seen at once: temperature, top-k, top-p

/** @param {Session[]} sessions that share their settings */
export function settingsView(sessions) {
  const [{ facts, settings }] = sessions;
  const changed = () => sessions.forEach((session) => session.changed());
  const rows = facts.settings.map((setting) => settingRow(settings.values, setting, changed));
  const greedy = element("input", { type: "checkbox", id: "greedy", checked: settings.greedy });
  greedy.addEventListener("change", () => {
    settings.greedy = greedy.checked;
    changed();
  });
  return panel(
    "Settings",
    "",
    element("label", { class: "check", htmlFor: "greedy" }, greedy, "greedy: always the likeliest token"),
    ...rows.slice(0, FIRST),
    fold("More settings", ...rows.slice(FIRST), seedRow(settings)),
  );
}

/** @param {Record<string, number>} values @param {Setting} setting @param {() => void} changed */
function settingRow(values, setting, changed) {
  const { name, help, about, lowest, highest, step } = setting;
  const id = `setting-${name}`;
  const range = { min: lowest, max: highest, step, value: values[name] };
  const slider = element("input", { type: "range", id, "aria-describedby": `${id}-about`, ...range });
  const number = element("input", {
    type: "number",
    "aria-label": words(name),
    step: "any",
    value: values[name],
  });
  const set = (/** @type {HTMLInputElement} */ from, /** @type {HTMLInputElement} */ to) => {
    if (from.value === "" || Number(from.value) < lowest || (name !== "top_k" && Number(from.value) > highest))
      return;
    to.value = from.value;
    values[name] = Number(from.value);
    changed();
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

/** @param {import("../session.js").Settings} settings */
function seedRow(settings) {
  const given = { value: settings.seed ?? "", placeholder: "any" };
  const seed = element("input", { type: "number", id: "seed", min: 0, step: 1, ...given });
  seed.addEventListener("input", () => {
    settings.seed = seed.value === "" ? undefined : Math.abs(Math.trunc(Number(seed.value)));
  });
  return element(
    "div",
    { class: "setting" },
    element("label", { htmlFor: "seed" }, "seed"),
    seed,
    element("p", { class: "soft" }, "the same seed gives the same text, here and in tinylm generate --seed"),
  );
}

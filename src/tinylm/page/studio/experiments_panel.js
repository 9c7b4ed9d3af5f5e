/**
 * Experiments on a text: another text's activations put in, one training step, what each part is good
 * for, and the neighbours of its tokens.
 */

import { element, panel, problemLine } from "../views/dom.js";
import { explanationView } from "../views/explanation/explanation_view.js";
import { actionButton } from "./controls.js";

/** @param {import("./asked.js").Ask} ask */
export function experimentsPanel(ask) {
  const problem = problemLine();
  const found = element("div", {});
  const other = element("input", { type: "text", id: "other-text", autocomplete: "off", spellcheck: false });
  /** @param {string} label @param {() => Record<string, unknown>} options */
  const button = (label, options) =>
    actionButton(label, problem, async () => {
      found.replaceChildren(element("p", { class: "soft", role: "status" }, "Computing …"));
      try {
        const data = await ask(options());
        const notes = (data.notes ?? []).map((note) => element("p", { class: "care" }, note));
        found.replaceChildren(...notes, ...explanationView(data));
      } catch (error) {
        found.replaceChildren();
        throw error;
      }
    });
  return panel(
    "Experiments",
    "Each is made on the sentence above, on the model as it is; nothing changes in the model itself.",
    element(
      "div",
      { class: "buttons" },
      button("What each part is good for", () => ({ show: "parts" })),
      button("One training step", () => ({ show: "step", step: true })),
      button("Neighbours", () => ({ show: "neighbours" })),
    ),
    element("label", { htmlFor: other.id }, "Another sentence with as many tokens, whose activations are put in"),
    element(
      "div",
      { class: "buttons" },
      other,
      button("Patch", () => ({ show: "tokens,patching", patch: other.value })),
    ),
    problem,
    found,
  );
}

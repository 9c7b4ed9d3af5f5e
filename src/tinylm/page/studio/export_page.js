/**
 * Export: the model in every format that there is, as a download.
 */

import { element, panel, problemLine } from "../views/dom.js";
import { route, send } from "./api.js";
import { actionButton, bytesInWords } from "./controls.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {{to: string, about: string, dtypes: string[]}} ExportFormat */

const NUMBER_FORMATS = {
  f32: "32 bits: exact",
  f16: "16 bits: half the size",
  q8_0: "8 bits: a quarter of the size",
};

/** @param {Card} card @param {ExportFormat[]} formats @returns {Promise<StudioPage>} */
export async function exportPage({ id }, formats) {
  return { content: element("div", {}, ...formats.map((format) => formatPanel(id, format))) };
}

/** @param {string} id @param {ExportFormat} format */
function formatPanel(id, { to, about, dtypes }) {
  const problem = problemLine();
  const found = element("div", { role: "status" });
  const dtype = element("select", { id: `dtype-${to}` }, element("option", { value: "" }, "the usual size"));
  dtype.append(
    ...dtypes.map((name) =>
      element("option", { value: name }, NUMBER_FORMATS[/** @type {keyof typeof NUMBER_FORMATS} */ (name)] ?? name),
    ),
  );
  const make = actionButton("Make the file", problem, async () => {
    found.replaceChildren(element("p", { class: "soft" }, "Writing, and reading it back …"));
    try {
      const { file, name, bytes, notes, checks } = await send(route("models", id, "export"), {
        to,
        dtype: dtype.value || null,
      });
      const link = element("a", { class: "button main", href: route("exports", file), download: name });
      link.append(`Download ${name} (${bytesInWords(bytes)})`);
      found.replaceChildren(link, ...[...checks, ...notes].map((each) => element("p", { class: "soft" }, each)));
    } catch (error) {
      found.replaceChildren();
      throw error;
    }
  });
  const label = element("label", { htmlFor: dtype.id, class: "unseen" }, `Numbers of the weights in ${to}`);
  return panel(about, to, element("div", { class: "buttons" }, label, dtype, make), problem, found);
}

/**
 * Numbers: the report of a run, in a frame of its own.
 */

import { element } from "../views/dom.js";
import { request, route } from "./api.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */

/** @param {Card} card @returns {Promise<StudioPage>} @throws {import("./api.js").Refused} there is no report of it */
export async function numbersPage({ id, name }) {
  const source = route("models", id, "report");
  await (await request(source)).body?.cancel(); // where there is none, the sentence that says why
  const frame = element("iframe", { class: "report", src: source, title: `The report of ${name}` });
  return { content: frame };
}

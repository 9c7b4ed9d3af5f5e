/**
 * Questions to `tinylm explain`, as the studio's server answers them.
 */

import { route, send } from "./api.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../views/explanation/explanation_view.js").ExplanationData} ExplanationData */
/** Asks about one text of one model. @typedef {(options: Record<string, unknown>) => Promise<ExplanationData>} Ask */

/** The name of a part as Python writes it. @param {string} name such as `layers.1.head.0` or `layers.0.mlp` */
export function placeOf(name) {
  return name.replace("layers.", "").replace(".head", "");
}

/** An explanation. @param {string} id of the model @param {Record<string, unknown>} options of the command
 * @returns {Promise<ExplanationData>} */
export function explainText(id, options) {
  return send(route("models", id, "explain"), options);
}

/** Asks about what a session's model sees of its text, at the cursor, with the parts off that are off there.
 * @param {string} id @param {Session} session @returns {Ask} */
export const askAbout = (id, session) => (options) => {
  const { reading, cursor, off } = session;
  const ids = reading.visible.map((index) => reading.ids[index]);
  const position = Math.max(0, reading.visible.indexOf(cursor));
  const parts = off.size ? { off: [...off].map(placeOf).join(",") } : {};
  return explainText(id, { ids, position, ...parts, ...options });
};

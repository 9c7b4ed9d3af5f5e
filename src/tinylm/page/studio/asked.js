/**
 * Questions about the text of a session to `tinylm explain`, as the studio's server answers them.
 */

import { route, send } from "./api.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../views/explanation/explanation_view.js").ExplanationData} ExplanationData */

/** The name of a part as Python writes it. @param {string} name such as `layers.1.head.0` or `layers.0.mlp` */
export function placeOf(name) {
  return name.replace("layers.", "").replace(".head", "");
}

/** What the model sees of the text, up to the cursor and beyond it, with the parts off that are off.
 * @param {string} id @param {Session} session @param {Record<string, unknown>} options of the command
 * @returns {Promise<ExplanationData>} */
export function explainText(id, session, options) {
  const { reading, cursor, off } = session;
  const ids = reading.visible.map((index) => reading.ids[index]);
  const position = Math.max(0, reading.visible.indexOf(cursor));
  const parts = off.size ? { off: [...off].map(placeOf).join(",") } : {};
  return send(route("models", id, "explain"), { ids, position, ...parts, ...options });
}

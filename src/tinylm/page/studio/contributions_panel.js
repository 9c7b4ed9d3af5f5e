/**
 * Contributions to the next token, asked for anew when the text, the place in it or the parts that are on change.
 */

import { element } from "../views/dom.js";
import { explanationView } from "../views/explanation/explanation_view.js";
import { Refused } from "./api.js";

/** @typedef {import("../session.js").Session} Session */

/** @param {import("./asked.js").Ask} askServer @param {Session} session */
export function contributionsPanel(askServer, session) {
  const place = element("div", { class: "live" });
  let before = "";
  let isAsking = false;
  const ask = async () => {
    const state = JSON.stringify([session.reading.ids, session.cursor, [...session.off]]);
    if (session.isBusy || isAsking || state === before) return;
    [before, isAsking] = [state, true];
    try {
      place.replaceChildren(...explanationView(await askServer({ show: "contributions" })));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      place.replaceChildren(element("p", { class: "problem" }, error.message));
    } finally {
      isAsking = false;
    }
    await ask(); // what has changed meanwhile
  };
  session.listen(ask);
  return place;
}

/**
 * The pages of one model, and the tabs that lead to them.
 */

import { element } from "../views/dom.js";
import { get } from "./api.js";
import { pageHeading } from "./controls.js";
import { exportPage } from "./export_page.js";
import { insidePage } from "./inside_page.js";
import { livePage } from "./live_page.js";
import { numbersPage } from "./numbers_page.js";
import { writePage } from "./write_page.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {import("../studio.js").StudioFacts} StudioFacts */
/** @typedef {{label: string, isThere: (card: Card) => boolean, open: (card: Card, cards: Card[], facts: StudioFacts)
 *   => Promise<StudioPage>}} Tab */

/** @type {Record<string, Tab>} */
const TABS = {
  live: { label: "Training", isThere: () => true, open: ({ id }, _, { labels }) => livePage(id, labels) },
  write: { label: "Write", isThere: (card) => Boolean(card.in_browser), open: writePage },
  inside: { label: "Inside", isThere: (card) => Boolean(card.in_browser), open: insidePage },
  numbers: { label: "Numbers", isThere: () => true, open: numbersPage },
  export: {
    label: "Export",
    isThere: (card) => Boolean(card.has_weights),
    open: (card, _, { exports }) => exportPage(card, exports),
  },
};

/** @param {string} id @param {string | undefined} tab @param {StudioFacts} facts @returns {Promise<StudioPage>} */
export async function modelPage(id, tab, facts) {
  const { models } = await get("/api/models");
  const cards = /** @type {Card[]} */ (models);
  const card = cards.find((each) => each.id === id) ?? { id, name: id, state: "training" };
  const there = Object.keys(TABS).filter((name) => TABS[name].isThere(card));
  const first = card.state === "ready" && there.includes("write") ? "write" : "live";
  const chosen = tab && there.includes(tab) ? tab : first;
  const { content, leave } = await TABS[chosen].open(card, cards, facts);
  return { content: element("div", {}, pageHeading(card.name), tabList(id, there, chosen), content), leave };
}

/** @param {string} id @param {string[]} names @param {string} chosen */
function tabList(id, names, chosen) {
  return element(
    "nav",
    { class: "tabs", "aria-label": "Pages of this model" },
    ...names.map((name) => {
      const link = element("a", { href: `#/model/${encodeURIComponent(id)}/${name}` }, TABS[name].label);
      if (name === chosen) link.setAttribute("aria-current", "page");
      return link;
    }),
  );
}

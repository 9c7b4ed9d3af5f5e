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
import { serverInsidePage } from "./server_inside_page.js";
import { serverChatPage, serverWritePage } from "./server_write_page.js";
import { writePage } from "./write_page.js";

/** @typedef {import("./controls.js").Card} Card */
/** @typedef {import("./controls.js").StudioPage} StudioPage */
/** @typedef {import("../studio.js").StudioFacts} StudioFacts */
/** What a page of a model may need: cards of this model and of all, and what draws the tabs anew.
 * @typedef {{card: Card, cards: Card[], facts: StudioFacts, renewTabs: () => Promise<void>}} Needs */
/** @typedef {{label: string, isThere: (card: Card) => boolean, open: (needs: Needs) => Promise<StudioPage>}} Tab */

const hasWeights = (/** @type {Card} */ card) => Boolean(card.has_weights);

/** @type {Record<string, Tab>} */
const TABS = {
  live: {
    label: "Training",
    isThere: () => true,
    open: ({ card, facts, renewTabs }) => livePage(card.id, facts.labels, renewTabs),
  },
  write: {
    label: "Write",
    isThere: hasWeights,
    open: ({ card, cards }) => {
      if (card.in_browser) return writePage(card, cards);
      return card.has_chat ? serverChatPage(card) : serverWritePage(card);
    },
  },
  inside: {
    label: "Inside",
    isThere: hasWeights,
    open: ({ card }) => (card.in_browser ? insidePage(card) : serverInsidePage(card)),
  },
  numbers: { label: "Numbers", isThere: () => true, open: ({ card }) => numbersPage(card) },
  export: { label: "Export", isThere: hasWeights, open: ({ card, facts }) => exportPage(card, facts.exports) },
};

/** @param {string} id @param {string | undefined} tab @param {StudioFacts} facts @returns {Promise<StudioPage>} */
export async function modelPage(id, tab, facts) {
  const { cards, card } = await cardsAround(id);
  const there = tabsOf(card);
  const first = card.state === "ready" && there.includes("write") ? "write" : "live";
  const chosen = tab && there.includes(tab) ? tab : first;
  const tabs = element("nav", { class: "tabs", "aria-label": "Pages of this model" });
  tabs.append(...tabLinks(id, there, chosen));
  const renewTabs = async () => tabs.replaceChildren(...tabLinks(id, tabsOf((await cardsAround(id)).card), chosen));
  const { content, leave } = await TABS[chosen].open({ card, cards, facts, renewTabs });
  return { content: element("div", {}, pageHeading(card.name), tabs, content), leave };
}

/** The cards of all models, and that of one; of a run that has made no folder yet, a card that says no more than that.
 * @param {string} id */
async function cardsAround(id) {
  const cards = /** @type {Card[]} */ ((await get("/api/models")).models);
  return { cards, card: cards.find((each) => each.id === id) ?? { id, name: id, state: "training" } };
}

/** @param {Card} card */
const tabsOf = (card) => Object.keys(TABS).filter((name) => TABS[name].isThere(card));

/** @param {string} id @param {string[]} names @param {string} chosen */
function tabLinks(id, names, chosen) {
  return names.map((name) => {
    const link = element("a", { href: `#/model/${encodeURIComponent(id)}/${name}` }, TABS[name].label);
    if (name === chosen) link.setAttribute("aria-current", "page");
    return link;
  });
}

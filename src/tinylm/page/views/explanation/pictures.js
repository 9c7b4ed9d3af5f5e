/**
 * The pictures of a text: how its tokens were expected, the lens, the attention of a head, contributions.
 */

import { attentionStrip } from "../attention_strip.js";
import { element, percent, visibleText } from "../dom.js";
import { fillLens } from "../lens_table.js";
import { drawPattern } from "../pattern.js";
import { markToken, surpriseLegend, tokenItem, tokenList } from "../token_list.js";
import { numberTable, scrolling, withSign, twoSidedBar } from "./tables.js";

/** @typedef {import("./explanation_view.js").ExplanationData} ExplanationData */
/** @typedef {import("./explanation_view.js").Section} Section */
/** @typedef {import("./place.js").Place} Place */

const MOST_PARTS = 24; // with a bar of their own

/** @param {ExplanationData} data @param {Place} place @returns {Record<string, Section>} */
export function pictureSections({ tokens, lens, attention, contributions, loss }, place) {
  /** @type {Record<string, Section>} */
  const found = {};
  if (tokens) found.tokens = tokenSection(tokens, loss, place);
  if (lens) found.lens = lensSection(lens, tokens, place);
  if (attention) found.attention = attentionSection(attention, place);
  if (contributions) found.contributions = contributionSection(contributions);
  return found;
}

/** @param {NonNullable<ExplanationData["tokens"]>} tokens @param {number | null} loss @param {Place} place
 * @returns {Section} */
function tokenSection(tokens, loss, place) {
  const box = tokenList((index) => place.look(index));
  box.append(
    ...tokens.map(({ position, id, token, probability }) => {
      const name = visibleText(token);
      return tokenItem({ index: position, id, text: `${name} `, name, probability });
    }),
  );
  const expected = element("p", { class: "soft", role: "status" });
  place.listen((position) => {
    const { token, probability, rank } = tokens[position];
    markToken(box, position);
    expected.textContent =
      probability === null
        ? `“${visibleText(token)}” begins the text: nothing was expected yet.`
        : `“${visibleText(token)}” was expected with ${percent(probability)}: rank ${rank}.`;
  });
  const inAll = loss === null ? "" : ` Loss ${loss.toFixed(4)} nats a token.`;
  return {
    title: "Tokens",
    about: `How the model expected each token before it came.${inAll}`,
    content: [
      box,
      expected,
      surpriseLegend("Click a token, or press Enter on it: the pictures below look at its place."),
    ],
  };
}

/** @param {NonNullable<ExplanationData["lens"]>} lens @param {ExplanationData["tokens"]} tokens @param {Place} place
 * @returns {Section} */
function lensSection({ readings }, tokens, place) {
  const table = element("table", { class: "lens" });
  const names = tokens?.map(({ token }) => token) ?? readings[0].next.map((_, position) => String(position));
  const rows = [...readings].reverse().map(({ stream, next }) => ({
    name: stream.endsWith("resid_post") ? `layer ${stream.split(".")[1]}` : "embedding",
    guesses: next.map(([best]) => best),
  }));
  place.listen((position) => fillLens(table, names, rows, position));
  return {
    title: "Lens",
    about:
      "What each layer would say next, if it were the last: the stream, read through ln_f and out_head. The top row " +
      "is the model’s own prediction.",
    content: [scrolling(table)],
  };
}

/** @param {NonNullable<ExplanationData["attention"]>} attention @param {Place} place @returns {Section} */
function attentionSection({ layer, head, tokens, pattern }, place) {
  const canvas = element("canvas", { class: "pattern large", role: "img" });
  canvas.setAttribute("aria-label", `Pattern of layer ${layer}, head ${head}`);
  const rows = pattern.map((row, query) => Float32Array.from(row.slice(0, query + 1)));
  const strip = attentionStrip();
  const draw = (/** @type {number} */ position) => {
    drawPattern(canvas, rows, position);
    strip.draw({ layer, head }, tokens, pattern[position], position);
  };
  canvas.addEventListener("click", (event) => {
    const query = Math.floor((event.offsetY / canvas.clientHeight) * rows.length);
    place.look(Math.max(0, Math.min(rows.length - 1, query)));
  });
  requestAnimationFrame(() => place.listen(draw)); // by then it is on the page, and its colour known
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(place.position));
  return {
    title: `Attention of head ${layer}.${head}`,
    about: "Who looks at whom. A row is a token that looks, a column one that is looked at; darker is more.",
    content: [element("div", { class: "focus" }, canvas, strip.element)],
  };
}

/** @param {NonNullable<ExplanationData["contributions"]>} found @returns {Section} */
function contributionSection({ token, against, logit_difference: difference, parts }) {
  const largest = [...parts].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const shown = largest.slice(0, MOST_PARTS);
  const others = largest.slice(MOST_PARTS);
  if (others.length) {
    shown.push({ part: `${others.length} others`, value: others.reduce((sum, { value }) => sum + value, 0) });
  }
  const most = Math.max(...shown.map(({ value }) => Math.abs(value))) || 1;
  const [first, second] = [token, against].map((each) => `“${visibleText(each.token)}”`);
  return {
    title: "Contributions",
    about:
      `What speaks for ${first} (${percent(token.probability)}, to the right) and for ${second} ` +
      `(${percent(against.probability)}, to the left). The bars add up to the difference of their logits, ` +
      `${withSign(difference)}. 1.0 is head 0 of layer 1.`,
    content: [
      numberTable(
        ["part", "share", `${second} ← → ${first}`],
        shown.map(({ part, value }) => [part, withSign(value), twoSidedBar(value / most)]),
      ),
    ],
  };
}

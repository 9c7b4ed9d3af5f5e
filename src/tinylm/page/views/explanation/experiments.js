/**
 * Experiments on a text: what changes without a part or with one of another text, what one training step does, what
 * each part is good for, and the neighbours of its tokens.
 */

import { element, percent, visibleText } from "../dom.js";
import { mapPicture } from "./map_picture.js";
import { numberTable, shaded, withSign, twoSidedBar } from "./tables.js";

/** @typedef {import("./explanation_view.js").ExplanationData} ExplanationData */
/** @typedef {import("./explanation_view.js").Section} Section */

/** @param {ExplanationData} data @returns {Record<string, Section>} */
export function experimentSections({ change, patching, step, parts, neighbours, tokens }) {
  /** @type {Record<string, Section>} */
  const found = {};
  if (change) found.change = changeSection(change);
  if (patching)
    found.patching = patchingSection(
      patching,
      tokens?.map(({ token }) => token),
    );
  if (step) found.step = stepSection(step);
  if (parts) found.parts = partsSection(parts);
  if (neighbours) found.neighbours = neighbourSection(neighbours);
  return found;
}

/** @param {number | null} loss */
const lossOf = (loss) => (loss === null ? "" : loss.toFixed(4));

/** @param {NonNullable<ExplanationData["change"]>} change @returns {Section} */
function changeSection({ changes, before, after, loss_before: lossBefore, loss_after: lossAfter, effect }) {
  const losses = [["of this text", lossOf(lossBefore), lossOf(lossAfter)]];
  if (effect) {
    const name = `of the ${effect.split} text (${effect.tokens.toLocaleString("en")} tokens)`;
    losses.push([name, lossOf(effect.loss), lossOf(effect.parts[0].loss)]);
  }
  return {
    title: "What changes",
    about: `${changes.join("; ")}: the likeliest next tokens before and after.`,
    content: [
      numberTable(
        ["next token", "before", "after"],
        before.map(({ token, probability }, i) => [
          visibleText(token),
          shaded(probability, percent(probability)),
          shaded(after[i].probability, percent(after[i].probability)),
        ]),
      ),
      numberTable(["loss, nats a token", "before", "after"], losses),
    ],
  };
}

/** @param {NonNullable<ExplanationData["patching"]>} map @param {string[]} [tokens] @returns {Section} */
function patchingSection({ token, against, unpatched, source, stream, heads, mlps }, tokens) {
  const way = source - unpatched;
  const [first, second] = [token, against].map((each) => `“${visibleText(each.token)}”`);
  const about =
    `The logit of ${first} less that of ${second} is ${withSign(unpatched)} here ` +
    `and ${withSign(source)} in the other text.`;
  if (Math.abs(way) < 1e-3)
    return { title: "Patching", about: `${about} There is no difference to carry.`, content: [] };
  const cell = (/** @type {number} */ value) => {
    const share = (value - unpatched) / way;
    return shaded(share, `${Math.round(100 * share)} %`);
  };
  const names = stream.map((_, layer) => `layer ${layer}`);
  const labels = stream[0]?.map((_, position) => visibleText(tokens?.[position] ?? String(position))) ?? [];
  return {
    title: "Patching",
    about: `${about} Each cell: how much of that way one activation of the other text brings.`,
    content: [
      element("h3", {}, "The stream as it enters a layer, at one token"),
      numberTable(
        ["", ...labels],
        stream.map((row, layer) => [names[layer], ...row.map(cell)]),
      ),
      element("h3", {}, "A head or an MLP, at all tokens"),
      numberTable(
        ["", ...(heads[0] ?? []).map((_, head) => `head ${head}`), "MLP"],
        heads.map((row, layer) => [names[layer], ...row.map(cell), cell(mlps[layer])]),
      ),
    ],
  };
}

/** @param {NonNullable<ExplanationData["step"]>} step @returns {Section} */
function stepSection(step) {
  const number = (/** @type {string} */ name) => Number(step[name]);
  const falls = number("gradient") < 0 ? "falls" : "rises";
  return {
    title: "One training step",
    about: "What one step of training on this text does, on a copy, seen from one weight.",
    content: [
      numberTable(
        ["", "", ""],
        [
          ["weight", String(step.weight), ""],
          ["gradient", number("gradient").toFixed(6), `the loss ${falls} when the weight rises`],
          ["before", number("value_before").toFixed(6), ""],
          ["after", number("value_after").toFixed(6), `by ${step.optimizer}, learning rate ${step.learning_rate}`],
          ["loss before", number("loss_before").toFixed(6), `nats a token, of ${step.tokens} tokens`],
          ["loss after", number("loss_after").toFixed(6), "with every weight moved"],
        ],
      ),
    ],
  };
}

/** @param {NonNullable<ExplanationData["parts"]>} parts @returns {Section} */
function partsSection({ heads, effects }) {
  const habits = new Map(heads.map((score) => [`${score.layer}.${score.head}`, score]));
  const found = new Map(effects?.parts.map((effect) => [effect.part, effect]));
  const most = Math.max(...Array.from(found.values(), ({ difference }) => Math.abs(difference)), 1e-9);
  const share = (/** @type {number | null | undefined} */ value) =>
    value == null ? "" : shaded(value, percent(value));
  const of = effects
    ? ` And the loss of the ${effects.split} text without each part; with all of them it is ${lossOf(effects.loss)}.`
    : "";
  return {
    title: "What each part does",
    about: `How much each head looks at the token before, and at what followed an earlier occurrence (induction).${of}`,
    content: [
      numberTable(
        ["part", "token before", "induction", "loss without", "difference", ""],
        [...(effects ? found : habits).keys()].map((part) => {
          const effect = found.get(part);
          const habit = habits.get(part);
          const loss = effect
            ? [lossOf(effect.loss), withSign(effect.difference), twoSidedBar(effect.difference / most)]
            : [];
          return [part, share(habit?.previous_token), share(habit?.induction), ...loss];
        }),
      ),
    ],
  };
}

/** @param {NonNullable<ExplanationData["neighbours"]>} neighbours @returns {Section} */
function neighbourSection({ neighbours, map }) {
  const near = (/** @type {{token: string, similarity: number}[]} */ all) =>
    all.map(({ token, similarity }) => `${visibleText(token)} ${similarity.toFixed(2)}`).join("   ");
  return {
    title: "Neighbours",
    about:
      "The tokens of the text on the map of the embedding, whose two directions are those in which the vectors " +
      "of all tokens differ most; and the tokens whose vectors point most nearly the same way (cosine of the angle).",
    content: [
      mapPicture(map.points, map.explained),
      numberTable(
        ["token", "nearest", "x", "y"],
        map.points.map(({ token, x, y }, i) => [visibleText(token), near(neighbours[i]), x.toFixed(2), y.toFixed(2)]),
      ),
    ],
  };
}

/**
 * Attention and switches: the pattern of every head as a picture, one of them on the text, and a switch for each
 * head and
 * MLP.
 */

import { attentionStrip } from "./attention_strip.js";
import { element, panel } from "./dom.js";
import { drawPattern, patternOf } from "./pattern.js";

/** @typedef {import("../session.js").Session} Session */

/** @param {Session} session */
export function attentionView(session) {
  const chosen = { layer: 0, head: 0 };
  const { n_layers: nLayers, n_heads: nHeads } = session.facts.config;
  const large = element("canvas", { class: "pattern large", role: "img" });
  const strip = attentionStrip();
  /** @type {HTMLCanvasElement[][]} */
  const pictures = Array.from({ length: nLayers }, () => []);
  const draw = () => {
    if (session.isBusy) return;
    pictures.forEach((row, layer) =>
      row.forEach((canvas, head) => {
        drawPattern(canvas, patternOf(session.reading, layer, head));
        const isChosen = layer === chosen.layer && head === chosen.head;
        canvas.parentElement?.setAttribute("aria-pressed", String(isChosen));
      }),
    );
    drawPattern(
      large,
      patternOf(session.reading, chosen.layer, chosen.head),
      session.reading.visible.indexOf(session.cursor),
    );
    drawStrip(session, chosen, strip);
    large.setAttribute("aria-label", `Pattern of layer ${chosen.layer}, head ${chosen.head}`);
  };
  const rows = pictures.map((row, layer) =>
    layerRow(session, layer, nHeads, row, (head) => {
      Object.assign(chosen, { layer, head });
      draw();
    }),
  );
  session.listen(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  large.addEventListener("click", (event) => lookAt(session, event.offsetY / large.clientHeight));
  const all = element(
    "button",
    {
      type: "button",
      on: {
        click: () => {
          session.off.clear();
          session.reread();
        },
      },
    },
    "All on",
  );
  session.listen(() => {
    all.disabled = session.off.size === 0;
  });
  if (!nLayers) return panel("Attention", "This model has no layers.");
  return panel(
    "Attention",
    `Who looks at whom, in each head: ${session.aboutTap("attn.pattern")}. ` +
      "A row is a position that asks, a column one that is " +
      "asked; darker is more. Take the tick away, and the head or the MLP gives zeros.",
    element("div", { class: "heads" }, ...rows),
    element("div", { class: "buttons" }, all),
    element("div", { class: "focus" }, large, strip.element),
  );
}

/**
 * @param {Session} session
 * @param {number} layer
 * @param {number} nHeads
 * @param {HTMLCanvasElement[]} pictures takes in those of the heads
 * @param {(head: number) => void} choose
 */
function layerRow(session, layer, nHeads, pictures, choose) {
  const heads = Array.from({ length: nHeads }, (_, head) => {
    const canvas = element("canvas", { class: "pattern" });
    pictures.push(canvas);
    const picture = element(
      "button",
      {
        type: "button",
        class: "head",
        "aria-pressed": "false",
        "aria-label": `Show layer ${layer}, head ${head}`,
        on: { click: () => choose(head) },
      },
      canvas,
    );
    return element("div", {}, picture, switchFor(session, `layers.${layer}.head.${head}`, `head ${head}`));
  });
  return element(
    "div",
    { class: "layer", role: "group", "aria-label": `Layer ${layer}` },
    element("span", { class: "soft" }, `layer ${layer}`),
    ...heads,
    element("div", { class: "mlp" }, switchFor(session, `layers.${layer}.mlp`, "MLP")),
  );
}

/** @param {Session} session @param {string} name @param {string} label */
function switchFor(session, name, label) {
  const box = element("input", { type: "checkbox", checked: true, "data-part": name, "aria-label": `${name} is on` });
  box.addEventListener("change", () => session.toggle(name));
  session.listen(() => {
    box.checked = !session.off.has(name);
  });
  return element("label", { class: "check" }, box, label);
}

/** @param {Session} session @param {import("./attention_strip.js").Head} chosen
 * @param {ReturnType<typeof attentionStrip>} strip */
function drawStrip({ reading, tokenizer, cursor }, chosen, strip) {
  const query = Math.max(0, reading.visible.indexOf(cursor));
  const row = patternOf(reading, chosen.layer, chosen.head)[query] ?? new Float32Array(0);
  const tokens = reading.visible.map((index) => tokenizer.token(reading.ids[index]));
  strip.draw(chosen, tokens, row, query);
}

/** Looks from the position of a row. @param {Session} session @param {number} share of the picture's height */
function lookAt(session, share) {
  const { visible } = session.reading;
  const query = Math.floor(share * visible.length);
  if (query >= 0 && query < visible.length) session.look(visible[query]);
}

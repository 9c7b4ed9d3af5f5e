// Every activation of a page's model at each position of a text: {name: [one list of numbers a position]}.

import { KVCache } from "./model/transformer.js";
import { openPage, question } from "./page_file.mjs";

const found = question.map(({ page, plain, ids }) => {
  const { model, weights, facts } = openPage(page, plain);
  const cache = new KVCache(facts.config.n_layers);
  const activations = {};
  for (const id of ids) {
    model.forward(id, cache, (name, activation) => {
      (activations[name] ??= []).push(Array.from(activation, (value) => (Number.isFinite(value) ? value : String(value))));
      return activation;
    });
  }
  return { way: weights.way, activations };
});
console.log(JSON.stringify(found));

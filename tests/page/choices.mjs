// Random numbers, and the ids that a page's sampler chooses.

import { applyPenalties, applyTemperature, CUTS } from "./sampling/filters.js";
import { chooseNext, countIds, explainChoice, uniform } from "./sampling/sampler.js";
import { question } from "./page_file.mjs";

const found = {
  uniforms: question.uniforms.map(([seed, index]) => uniform(BigInt(seed), index)),
  choices: question.choices.map(({ logits, ids, params, bias, random }) => {
    const numbers = Float32Array.from(logits);
    const counts = countIds(ids);
    let left = applyTemperature(applyPenalties(numbers, counts, params), params.temperature);
    for (const [name, keep] of CUTS) left = keep(left, params[name]);
    const { probs, cut } = explainChoice(numbers, counts, params, bias);
    return {
      id: chooseNext(numbers, counts, params, bias, random),
      kept: Array.from(left, (logit) => logit !== -Infinity),
      probs: Array.from(probs),
      cut: Array.from(probs, (_, id) => cut.get(id) ?? ""),
    };
  }),
};
console.log(JSON.stringify(found));

// What the studio's page makes of numbers and records, without a page.

import { readFileSync } from "node:fs";
import { placeOf } from "./studio/asked.js";
import { bytesInWords, timeInWords } from "./studio/controls.js";
import { copiedPieces } from "./studio/copies_view.js";
import { RunHistory, smoothed } from "./studio/run_history.js";

const question = JSON.parse(readFileSync(0, "utf8"));
const history = new RunHistory();
const seen = question.news.map((news) => {
  history.add(news);
  const { step, best, validations, next } = history;
  return { step, best, validations: validations.length, next };
});
const found = {
  seen,
  bits: history.validations.map(({ bits }) => bits),
  smoothed: smoothed(history.steps, 50),
  copied: question.copied.map(([pieces, spans]) => copiedPieces(pieces, spans)),
  places: question.places.map(placeOf),
  times: question.times.map(timeInWords),
  sizes: question.sizes.map(bytesInWords),
};
console.log(JSON.stringify(found));

// A text that outgrows the context, id by id; then the whole of it at once; then its front alone.

import { Reading } from "./model/reading.js";
import { openPage, question } from "./page_file.mjs";

const { model } = openPage(question.page, false);
const reading = new Reading(model);
const shown = (each) => each.visible.map((index) => each.ids[index]);
const found = { logits: [], visible: [], dropped: [] };
for (const id of question.ids) {
  reading.push(id);
  found.logits.push(Array.from(reading.finish()));
  found.visible.push(shown(reading));
  found.dropped.push(reading.dropped);
}
reading.restart(question.ids);
reading.finish();
found.whole = shown(reading);
reading.truncate(question.cut);
found.cut = Array.from(reading.finish());
console.log(JSON.stringify(found));

// The ids of texts, the texts of ids, and each token, by a page's tokenizer.

import { Tokenizer } from "./text/tokenizer.js";
import { question } from "./page_file.mjs";

const found = question.map(({ data, texts }) => {
  const tokenizer = new Tokenizer(data);
  const ids = texts.map((text) => {
    try {
      return tokenizer.encodePrompt(text);
    } catch (error) {
      return String(error.message);
    }
  });
  return {
    ids,
    decoded: ids.map((each) => (typeof each === "string" ? null : tokenizer.decode(each))),
    tokens: data.entries.map((_, id) => tokenizer.token(id)),
  };
});
console.log(JSON.stringify(found));

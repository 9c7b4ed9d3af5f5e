// The model and the tokenizer of an exported page, for the scripts of the tests.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { TinyLM } from "./model/transformer.js";
import { Weights } from "./model/weights.js";
import { Tokenizer } from "./text/tokenizer.js";

/** What standard input asks. */
export const question = JSON.parse(readFileSync(0, "utf8"));

/** Opens a page: its facts, its model (by WebAssembly or plainly), its tokenizer. */
export function openPage(path, plain) {
  const text = readFileSync(path, "utf8");
  const element = (id) => text.match(new RegExp(`<script type="[^"]*" id="${id}">([^<]*)</script>`))[1];
  const facts = JSON.parse(element("facts"));
  const weights = new Weights(facts.tensors, gunzipSync(Buffer.from(element("weights"), "base64")), plain);
  return { facts, weights, model: new TinyLM(facts.config, weights), tokenizer: new Tokenizer(facts.tokenizer) };
}

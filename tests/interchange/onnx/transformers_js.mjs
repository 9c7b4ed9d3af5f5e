// Reads a list of folders with strings and a prompt each, and prints their ids and the greedy text, as JSON.
import { readFileSync } from "node:fs";
import { AutoTokenizer, env, pipeline } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = process.argv[2];
const plan = JSON.parse(readFileSync(process.argv[2] + "/plan.json"));
const found = {};
for (const [name, { strings, prompt }] of Object.entries(plan)) {
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const write = await pipeline("text-generation", name);
  const [{ generated_text: text }] = await write(prompt, { do_sample: false, max_new_tokens: 48 });
  found[name] = { ids: strings.map((string) => tokenizer.encode(string)), text };
}
console.log(JSON.stringify(found));

// Opens the model of a folder, and prints the ids of the strings and the greedy texts of the prompts of its plan, as JSON.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { AutoTokenizer, env, pipeline } from "@huggingface/transformers";

const folder = process.argv[2], name = basename(folder);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const plan = JSON.parse(readFileSync(folder + "/plan.json"));
const tokenizer = await AutoTokenizer.from_pretrained(name);
const write = await pipeline("text-generation", name);
const encode = (strings) => strings.map((string) => Array.from(tokenizer.encode(string)));
const texts = [];
for (const prompt of plan.prompts) {
  const [{ generated_text: text }] = await write(prompt, { do_sample: false, max_new_tokens: plan.tokens });
  texts.push(text);
}
const scalars = createHash("sha256").update(JSON.stringify(encode(plan.scalars))).digest("hex");
console.log(JSON.stringify({ ids: encode(plan.strings), texts, scalars }));

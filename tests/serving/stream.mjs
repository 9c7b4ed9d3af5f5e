// A client in another language: streams a completion with nothing but what Node has, and prints its text and its end.
//     node stream.mjs URL MODEL PROMPT
const [url, model, prompt] = process.argv.slice(2);
const response = await fetch(`${url}/v1/completions`, {
  method: "POST",
  headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.KEY}` },
  body: JSON.stringify({ model, prompt, max_tokens: 200, seed: 3, stream: true, stream_options: { include_usage: true } }),
});
let text = "", usage = null, held = "", done = false;
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  held += piece;
  const events = held.split("\n\n");
  held = events.pop();
  for (const event of events) {
    const data = event.replace(/^data: /, "");
    if (data === "[DONE]") { done = true; continue; }
    const chunk = JSON.parse(data);
    text += chunk.choices[0]?.text ?? "";
    usage = chunk.usage ?? usage;
  }
}
console.log(JSON.stringify({ status: response.status, text, usage, done, held }));

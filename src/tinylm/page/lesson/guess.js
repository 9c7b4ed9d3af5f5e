/**
 * A guess before the rest of a page is read: typed in, shown beside the truth, never marked.
 */

import { element } from "../views/dom.js";

/** Puts a box after the question of the page, and covers the rest until the reader goes on. */
export function askForGuess() {
  const question = document.querySelector("[data-question]");
  const rest = [...document.querySelectorAll("[data-question] ~ *")];
  if (!question || !rest.length || location.hash) return;
  const input = element("input", { type: "text", id: "guess", autocomplete: "off" });
  const box = element(
    "form",
    { class: "guess" },
    element("label", { htmlFor: "guess" }, "Your guess, before you read on (nobody marks it):"),
    input,
    element("div", { class: "buttons" }, element("button", { type: "submit", class: "main" }, "Go on")),
  );
  for (const each of rest) each.classList.add("covered");
  question.after(box);
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const each of rest) each.classList.remove("covered");
    const guess = input.value.trim();
    box.replaceWith(guess ? element("p", { class: "guess guessed" }, `Your guess: ${guess}`) : "");
  });
}

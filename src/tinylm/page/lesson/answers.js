/**
 * Answers of exercises, tried on the page. What is right, and which mistakes are known, was computed by Python
 * (learn/html/answers.py), and lies in the page so that nobody reads it by accident.
 */

import { contentOf } from "../page_data.js";
import { element } from "../views/dom.js";

/** Words, and the least and the largest number that count. @typedef {(string | [number, number])[]} Answer */
/**
 * @typedef {object} StoredExercise
 * @property {string} number
 * @property {string} form of an answer
 * @property {string} command that checks it in a terminal
 * @property {Answer} answer
 * @property {{answer: Answer, hint: string}[]} mistakes
 */

/** Puts boxes for answers where the page has a place for them. */
export function checkAnswers() {
  const place = document.getElementById("place.answers");
  const stored = contentOf("data.answers");
  if (!place || !stored) return;
  const bytes = Uint8Array.from(atob(stored), (letter) => letter.charCodeAt(0));
  /** @type {StoredExercise[]} */
  const exercises = JSON.parse(new TextDecoder().decode(bytes));
  place.append(...exercises.map(answerBox));
}

/** @param {StoredExercise} exercise */
function answerBox(exercise) {
  const input = element("input", { type: "text", autocomplete: "off", placeholder: exercise.form });
  input.setAttribute("aria-label", `Answer to ${exercise.number}`);
  const verdict = element("p", { role: "status" });
  const box = element(
    "form",
    { class: "answer" },
    element("strong", {}, exercise.number),
    input,
    element("button", { type: "submit" }, "Check"),
    verdict,
    element("code", {}, exercise.command),
  );
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    verdict.textContent = judge(exercise, input.value);
  });
  return box;
}

/** A sentence on an answer. @param {StoredExercise} exercise @param {string} typed */
export function judge(exercise, typed) {
  const given = typed
    .replace(/^[\s()[\],;]+|[\s()[\],;]+$/g, "")
    .split(/[,;\s]+/)
    .filter(Boolean);
  if (given.length !== exercise.answer.length && !exercise.form.endsWith("...")) {
    return `An answer has ${exercise.answer.length} parts here: ${exercise.form}`;
  }
  const agrees = (/** @type {Answer} */ right) =>
    right.length === given.length && right.every((each, i) => isRight(given[i], each));
  if (agrees(exercise.answer)) return "Right.";
  const known = exercise.mistakes.find(({ answer }) => agrees(answer));
  return known ? `Not yet. ${known.hint}` : "Not yet.";
}

/** @param {string} given @param {string | [number, number]} right */
function isRight(given, right) {
  if (typeof right === "string") return given === right;
  const number = Number(given);
  return right[0] <= number && number <= right[1];
}

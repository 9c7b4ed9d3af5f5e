/**
 * A page of the lesson: pictures that answer, a guess before the rest is read, answers of exercises, and the model.
 */

import { checkAnswers } from "./lesson/answers.js";
import { askForGuess } from "./lesson/guess.js";
import { showModel } from "./lesson/live_model.js";
import { openPicture } from "./lesson/frames.js";

for (const figure of document.querySelectorAll(".picture")) openPicture(/** @type {HTMLElement} */ (figure));
askForGuess();
checkAnswers();
showModel();

// Verdicts of a page of the lesson.

import { judge } from "./lesson/answers.js";
import { question } from "./page_file.mjs";

console.log(JSON.stringify(question.map(({ exercise, typed }) => judge(exercise, typed))));

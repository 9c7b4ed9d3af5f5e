/**
 * Parts that the studio's pages share: buttons that do something and say what went wrong, bars, sizes and dates in
 * words.
 */

import { element } from "../views/dom.js";
import { Refused } from "./api.js";

/** A page of the studio: what is shown, and what ends when it is left.
 * @typedef {{content: HTMLElement, leave?: () => void}} StudioPage */
/** A card of a model (studio/cards.py).
 * @typedef {{id: string, name: string, text?: string, parameters?: number, size_bytes?: number, bits_per_byte?:
 *   number | null, baselines?: Record<string, number>, date?: string, state: string, has_weights?: boolean,
 *   in_browser?: boolean, has_chat?: boolean, error?: string}} Card */

/** Does something, and shows the sentence of its refusal.
 * @param {HTMLElement} problem @param {() => Promise<void>} act */
export async function attempting(problem, act) {
  try {
    problem.textContent = "";
    await act();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
  }
}

/** A button. It is off while what it does goes on.
 * @param {string} label @param {HTMLElement} problem @param {() => Promise<void>} act @param {string} [style] */
export function actionButton(label, problem, act, style = "") {
  const button = element("button", { type: "button", class: style }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    await attempting(problem, act).finally(() => {
      button.disabled = false;
    });
  });
  return button;
}

/** A link that looks like a button. @param {string} href @param {string} label @param {string} [style] */
export function linkButton(href, label, style = "") {
  return element("a", { href, class: `button ${style}` }, label);
}

/** Bars of bits a byte, the best first.
 * @param {[string, number, boolean][]} rows name, bits, and whether it is the model */
export function bitsBars(rows) {
  const longest = Math.max(...rows.map(([, bits]) => bits)) || 1;
  const sorted = [...rows].sort((a, b) => a[1] - b[1]);
  return element(
    "ul",
    { class: "bits" },
    ...sorted.map(([name, bits, isModel]) =>
      element(
        "li",
        { class: isModel ? "model" : "" },
        element("span", {}, name),
        element("i", { style: { "--width": (bits / longest).toFixed(3) } }),
        element("span", { class: "number" }, bits.toFixed(2)),
      ),
    ),
  );
}

/** @param {number} bytes */
export function bytesInWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const [size, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${size.toFixed(size < 9.95 ? 1 : 0)} ${unit}`;
}

/** A duration. @param {number} seconds */
export function timeInWords(seconds) {
  if (seconds < 90 && seconds !== 60) return counted(Math.round(seconds), "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return counted(minutes, "minute");
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return counted(hours, "hour") + (rest ? ` ${counted(rest, "minute")}` : "");
}

/** @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A date of the server's for people. @param {string} date ISO 8601 */
export function dateInWords(date) {
  return new Date(date).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The heading of a page, which gets the focus when the page is opened. @param {string} title */
export function pageHeading(title) {
  return element("h1", { tabIndex: -1 }, title);
}

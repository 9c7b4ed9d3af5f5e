/**
 * The studio's server, as its page asks it: JSON in, JSON out, and errors as sentences.
 */

const GONE = "The studio does not answer. Perhaps it was ended: start it again, and open the address that it prints.";
const NO_KEY = "The key of this page is no longer good. Open the address that the studio printed when it started.";

/** A refusal: its message is a sentence for people. */
export class Refused extends Error {
  /** @param {string} message @param {number} status of HTTP; 0: no answer */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The path of a route. @param {...string} parts that come from people or the server */
export const route = (...parts) => `/api/${parts.map(encodeURIComponent).join("/")}`;

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} @throws {Refused} */
export async function request(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options }).catch(() => {
    throw new Refused(GONE, 0);
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  const isStranger = response.status === 401 || response.status === 403;
  const message = isStranger ? NO_KEY : error?.message;
  throw new Refused(message ?? `The studio answered with an error (${response.status}).`, response.status);
}

/** Asks for JSON. @param {string} path @returns {Promise<any>} */
export async function get(path) {
  return (await request(path)).json();
}

/** Sends JSON. @param {string} path @param {unknown} body @param {RequestInit} [options] @returns {Promise<any>} */
export async function send(path, body, options = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body), ...options })).json();
}

/** Asks for something to be taken away. @param {string} path @returns {Promise<any>} */
export async function remove(path) {
  return (await request(path, { method: "DELETE" })).json();
}

/** Hands a file over. @param {string} name @param {Blob} content @returns {Promise<any>} */
export async function upload(name, content) {
  const headers = { "Content-Type": "application/octet-stream" };
  const path = `/api/texts?name=${encodeURIComponent(name)}`;
  return (await request(path, { method: "POST", headers, body: content })).json();
}

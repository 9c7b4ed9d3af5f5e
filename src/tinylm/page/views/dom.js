/**
 * Elements of a page. Text gets in by `textContent` alone: what a model or a person wrote is never markup.
 */

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} properties `class`, `style` with custom properties (`{"--share": 0.5}`), `on` with
 *   listeners, names with a dash and `role` as attributes, all others as properties
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = String(value);
    else if (name === "style") styled(made, /** @type {Record<string, unknown>} */ (value));
    else if (name === "on") listening(made, /** @type {Record<string, EventListener>} */ (value));
    else if (name.includes("-") || name === "role") made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(
    ...children.filter((child) => child || child === "").map((child) => /** @type {Node | string} */ (child)),
  );
  return made;
}

/** @param {HTMLElement} made @param {Record<string, unknown>} style */
function styled(made, style) {
  for (const [name, value] of Object.entries(style)) made.style.setProperty(name, String(value));
}

/** @param {HTMLElement} made @param {Record<string, EventListener>} listeners */
function listening(made, listeners) {
  for (const [name, listener] of Object.entries(listeners)) made.addEventListener(name, listener);
}

/** A part of the page with a heading and words on what it shows. @param {string} title @param {string} about
 * @param {...Child} children */
export function panel(title, about, ...children) {
  const heading = element("h2", { id: `about-${title.toLowerCase().replace(/\W+/g, "-")}` }, title);
  return element(
    "section",
    { "aria-labelledby": heading.id },
    heading,
    about && element("p", { class: "soft" }, about),
    ...children,
  );
}

/** A part that is folded away. @param {string} title @param {...Child} children */
export function fold(title, ...children) {
  return element("details", {}, element("summary", {}, title), ...children);
}

/** A button. @param {string} label @param {() => unknown} click @param {string} [style] */
export function plainButton(label, click, style = "") {
  return element("button", { type: "button", class: style, on: { click } }, label);
}

/** A box for a text. @param {string} id @param {number} rows @param {Record<string, unknown>} [properties] */
export function textBox(id, rows, properties = {}) {
  return element("textarea", { id, rows, spellcheck: false, dir: "auto", ...properties });
}

/** A place for the sentence on what went wrong. */
export function problemLine() {
  return element("p", { class: "problem", role: "alert" });
}

/** A place for words on what goes on. */
export function statusLine() {
  return element("span", { class: "soft", role: "status" });
}

let uniqueIds = 0;

/** An id that no other element of the page has. @param {string} name */
export function uniqueId(name) {
  return `${name}-${++uniqueIds}`;
}

/** A probability for people. @param {number} probability */
export function percent(probability) {
  const value = 100 * probability;
  return value > 0 && value < 0.1 ? "< 0.1 %" : `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}

/** A token with marks for what the eye would miss. @param {string} text */
export function visibleText(text) {
  return text.replace(/^ | $/g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍") || "∅";
}

/** A setting or a name of Python's in words. @param {string} name */
export function words(name) {
  return name.replace(/_/g, "-");
}

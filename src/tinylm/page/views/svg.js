/**
 * Elements of SVG pictures.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An element. @param {string} tag @param {Record<string, string | number>} attributes
 * @param {...(SVGElement | string)} children */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

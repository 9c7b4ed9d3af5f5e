/**
 * Data that lie in a page.
 */

/** The text of an element of the page. @param {string} id */
export const contentOf = (id) => document.getElementById(id)?.textContent ?? "";

/** The bytes of a stream that was packed by gzip. @param {Blob} packed */
export async function unpack(packed) {
  const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The place in a text that the views of an explanation look at together.
 */

/** A position, from 0, and who listens to it. */
export class Place {
  /** @param {number} position */
  constructor(position) {
    this.position = position;
    /** @type {((position: number) => void)[]} */
    this.listeners = [];
  }

  /** @param {(position: number) => void} listener is called now, and after each change */
  listen(listener) {
    this.listeners.push(listener);
    listener(this.position);
  }

  /** @param {number} position */
  look(position) {
    this.position = position;
    for (const listener of this.listeners) listener(position);
  }
}

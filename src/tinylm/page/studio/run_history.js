/**
 * The history of a run, as its records come in: the losses in bits a byte, step by step.
 */

/** A line of metrics.jsonl (training/events.py).
 * @typedef {{event: string, step?: number, to_step?: number, loss?: number | null}} Line */
/** What the studio tells of a run (studio/runs.py).
 * @typedef {{state: string, metrics: Line[], next: number, more?: boolean, baselines: Record<string, number>,
 *   samples: {step: number, prompt: string, text: string}[], sentences: string[], seconds_left: number | null,
 *   minutes: number | null, log_tail: string[], error?: string, bits_per_nat?: number | null, left_out_bits?: number,
 *   can_resume?: boolean, text?: string}} News */
/** @typedef {{step: number, bits: number}} Point */

/** Losses of one run. */
export class RunHistory {
  constructor() {
    this.next = 0;
    this.forget();
  }

  forget() {
    /** Of each batch that was learned from. @type {Point[]} */
    this.steps = [];
    /** Of the text that is held out. @type {Point[]} */
    this.validations = [];
  }

  /** Takes in what is new. @param {News} news */
  add({ metrics, next, bits_per_nat: ratio, left_out_bits: leftOut = 0 }) {
    this.next = next;
    for (const { event, step = 0, to_step: toStep = 0, loss } of metrics) {
      if (event === "begin") this.forget(); // the records are told from their beginning
      if (event === "rollback") this.rollBack(toStep);
      if (typeof loss !== "number" || !ratio) continue;
      const point = { step, bits: loss * ratio + leftOut };
      if (event === "step") this.steps.push(point);
      if (event === "validation") this.validations.push(point);
    }
  }

  /** Forgets the steps that a rollback undid. @param {number} step */
  rollBack(step) {
    this.steps = this.steps.filter((each) => each.step <= step);
    this.validations = this.validations.filter((each) => each.step <= step);
  }

  /** The number of the last step. */
  get step() {
    return this.steps.at(-1)?.step ?? 0;
  }

  /** The lowest loss on the text held out. */
  get best() {
    return this.validations.length ? Math.min(...this.validations.map(({ bits }) => bits)) : undefined;
  }
}

/** Losses that jump from batch to batch, as a running mean; at most `most` points of it.
 * @param {Point[]} points @param {number} most @returns {Point[]} */
export function smoothed(points, most) {
  const keep = Math.max(1, Math.ceil(points.length / most));
  const found = [];
  let mean = points[0]?.bits ?? 0;
  for (let i = 0; i < points.length; i++) {
    mean += (points[i].bits - mean) / Math.min(i + 1, 10);
    if (i % keep === 0 || i === points.length - 1) found.push({ step: points[i].step, bits: mean });
  }
  return found;
}

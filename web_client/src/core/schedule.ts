/** The schedule's table as the page reads it; levels u stand for ᾱ = cos²(πu/2). */

/** Return the standard deviation of the noise at a level: σ = sin(πu/2). */
export function sigma(level: number): number {
  return Math.sin((Math.PI * level) / 2);
}

/** Return the weight of the clean picture at a level: α = cos(πu/2). */
export function alpha(level: number): number {
  return Math.cos((Math.PI * level) / 2);
}

/** A noise schedule: ᾱ for t = 0…T. */
export class Schedule {
  readonly alphasCumprod: readonly number[];
  readonly #levels: number[];

  constructor(alphasCumprod: readonly number[]) {
    this.alphasCumprod = alphasCumprod;
    this.#levels = alphasCumprod.map((value) => (2 / Math.PI) * Math.acos(Math.sqrt(Math.min(Math.max(value, 0), 1))));
  }

  /** Return T. */
  get steps(): number {
    return this.alphasCumprod.length - 1;
  }

  /** Return the time step of a level, interpolated in the table. */
  timeStepOf(level: number): number {
    const levels = this.#levels;
    const last = levels.length - 1;
    if (!(level > levels[0]!)) return 0;
    if (level >= levels[last]!) return last;
    let low = 0;
    let high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (levels[middle]! <= level) low = middle;
      else high = middle;
    }
    const [from, to] = [levels[low]!, levels[high]!];
    return to > from ? low + (level - from) / (to - from) : low;
  }
}

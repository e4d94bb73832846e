/** The film: stills of x̂0 at even spacing in steps, to be looked at and gone back to (`core/history.py`). */

import { type Frame, Motion, type Settings } from "../contract/messages.ts";
import { bytesOf } from "./colormaps.ts";

const STILLS_MAX = 120;
const PASSES = 2; // over all time steps that the film is to hold
const TIMES_KEPT = 1024; // steps whose time step is remembered without a picture

/** What was seen at one step; the picture is made on the first look. */
export class Still {
  readonly step: number;
  readonly timeStep: number;
  readonly #x0Hat: Float32Array;
  #bytes: Uint8Array | undefined;

  constructor(frame: Frame) {
    this.step = frame.step;
    this.timeStep = frame.timeStep.max;
    this.#x0Hat = frame.x0Hat;
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= bytesOf(this.#x0Hat));
  }
}

/**
 * Stills, the newest always the last.
 *
 * A session that goes back to an earlier step takes its later stills with it; one that begins again takes all.
 */
export class Film {
  stills: Still[] = [];
  #times: { step: number; timeStep: number }[] = [];
  #seed = 0n;

  clear(): void {
    this.stills = [];
    this.#times = [];
  }

  /** Keep the still of this frame; it replaces the newest one if that is too near to the one before. */
  add(frame: Frame): void {
    const newest = this.stills.at(-1);
    if (newest && frame.step < newest.step) {
      // only a session that is paused has gone back; one that runs has begun again
      this.#forgetFrom(frame.motion === Motion.PAUSED ? frame.step : 0);
    }
    if (frame.seed !== this.#seed) this.clear();
    this.#seed = frame.seed;
    this.#forgetFrom(frame.step); // the same step again: it was touched while it was paused
    const spacing = spacingOf(frame.settings);
    const [one, two] = [this.stills.at(-1), this.stills.at(-2)];
    if (one && two && Math.floor(one.step / spacing) === Math.floor(two.step / spacing)) this.stills.pop();
    this.stills.push(new Still(frame));
    if (this.stills.length > STILLS_MAX) this.stills.splice(0, this.stills.length - STILLS_MAX);
    this.#times.push({ step: frame.step, timeStep: frame.timeStep.max });
    if (this.#times.length > TIMES_KEPT) this.#times.shift();
  }

  #forgetFrom(step: number): void {
    while ((this.stills.at(-1)?.step ?? -1) >= step) this.stills.pop();
    while ((this.#times.at(-1)?.step ?? -1) >= step) this.#times.pop();
  }

  /** Return at most `count` stills at even spacing, the newest last, the same ones while they fit. */
  shown(count: number): Still[] {
    const { stills } = this;
    if (stills.length <= count) return [...stills];
    const newest = stills.at(-1)!;
    if (count <= 1) return [newest];
    const earlier = stills.slice(0, -1);
    const span = newest.step - stills[0]!.step;
    let spacing = nextSpacing(Math.floor(span / (2 * count))); // a finer one gives too many anyway
    let chosen = firstOfEach(earlier, spacing);
    while (chosen.length >= count) {
      spacing = nextSpacing(spacing);
      chosen = firstOfEach(earlier, spacing);
    }
    return [...chosen, newest];
  }

  /** Return the step since `since` whose time step is nearest to `timeStep`, if it is within `most` of it. */
  nearest(timeStep: number, since: number, most: number): number | undefined {
    let found: { step: number; off: number } | undefined;
    for (const one of this.#times) {
      const off = Math.abs(one.timeStep - timeStep);
      if (one.step >= since && off <= most && off <= (found?.off ?? Infinity)) found = { step: one.step, off };
    }
    return found?.step;
  }

  /** Return the time steps that the session had at this step and later, as far as they were seen. */
  timeStepsSince(step: number): number[] {
    return this.#times.filter((one) => one.step >= step).map((one) => one.timeStep);
  }
}

/** Return the steps from still to still with which the film holds `PASSES` passes. */
function spacingOf(settings: Settings): number {
  return Math.max(Math.round((PASSES * settings.numTimeSteps) / (settings.stride * STILLS_MAX)), 1);
}

/** Return the least of 1, 2, 3, 4, 6, 8, 12, 16, 24 … above this one. */
function nextSpacing(spacing: number): number {
  const power = spacing === 0 ? 1 : 2 ** (Math.floor(Math.log2(spacing)) + 1);
  return power > 2 && spacing < (power * 3) / 4 ? (power * 3) / 4 : power;
}

/** Return the first still of each stretch of so many steps. */
function firstOfEach(stills: readonly Still[], spacing: number): Still[] {
  const chosen: Still[] = [];
  for (const still of stills) {
    const last = chosen.at(-1);
    if (!last || Math.floor(still.step / spacing) !== Math.floor(last.step / spacing)) chosen.push(still);
  }
  return chosen;
}

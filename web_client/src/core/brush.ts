/** What moving the pointer does, and the noise that it has painted and nobody has sent yet. */

import { AMOUNT_MAX, type Command, disc, inject, InjectionRule, NoiseKind } from "../contract/messages.ts";
import { type Dab, merged, type MouseMode, type Point, RADIUS, Stroke, STRENGTH } from "./strokes.ts";

export const KINDS: readonly NoiseKind[] = [
  NoiseKind.GAUSSIAN, NoiseKind.UNIFORM, NoiseKind.LAPLACE, NoiseKind.SIGN, NoiseKind.SMOOTH, NoiseKind.CONSTANT,
];
export const RULES: readonly InjectionRule[] = [InjectionRule.TRUTH, InjectionRule.NAIVE, InjectionRule.LIE];

export const DABS_PER_FRAME = 8; // at most; a server with a low limit of commands gets fewer
const DABS_WAITING = 3 * DABS_PER_FRAME; // more are merged, so that the noise keeps up with the pointer

/** Return the command that adds the noise of this dab, at most as much as one command can. */
export function injection({ center, radius, amount }: Dab, kind: NoiseKind, rule: InjectionRule): Command {
  const place = center && disc(center[0], center[1], radius);
  return inject(place, Math.min(amount, AMOUNT_MAX), kind, rule);
}

/** How the pointer paints. */
export class Brush {
  mode: MouseMode = "brush while pressed";
  radius = RADIUS.default; // fraction of the picture's side
  strength = STRENGTH.default; // time steps for each radius travelled
  kind: NoiseKind = NoiseKind.GAUSSIAN;
  rule: InjectionRule = InjectionRule.TRUTH;

  /** Return what a click or a key leaves at a point. */
  dab(center: Point): Dab {
    return { center, radius: this.radius, amount: this.strength / 2 };
  }

  /** Return the command that paints this dab. */
  inject(dab: Dab): Command {
    return injection(dab, this.kind, this.rule);
  }
}

/** Follows the pointer over one picture and keeps the dabs that wait to be sent. */
export class Painting {
  held = false; // a button or a finger is down
  readonly #brush: Brush;
  readonly #stroke = new Stroke();
  #waiting: Dab[] = [];

  constructor(brush: Brush) {
    this.#brush = brush;
  }

  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether moving leaves noise; the third mode asks for the button as well. */
  get paints(): boolean {
    return this.#brush.mode !== "brush while pressed" || this.held;
  }

  /** Follow the pointer in a straight line to this point of the picture. */
  move(point: Point): void {
    const { mode, radius, strength } = this.#brush;
    this.#waiting.push(...this.#stroke.move(point, mode, radius, strength));
  }

  /** Leave this dab, which is of no stroke. */
  add(dab: Dab): void {
    this.#waiting.push(dab);
  }

  /** End the stroke: the next point begins another one. */
  lift(): void {
    this.#stroke.lift();
  }

  /** Forget what waits. */
  drop(): void {
    this.#waiting = [];
  }

  /** Remove and return the first of the dabs that wait, so many at most. */
  take(most: number): Dab[] {
    const waiting = merged(this.#waiting, DABS_WAITING);
    this.#waiting = waiting.slice(most);
    return waiting.slice(0, most);
  }
}

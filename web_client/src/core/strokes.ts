/**
 * How a pointer's movement becomes noise: strokes are dosed by distance.
 *
 * The same rules as the viewer's `core/strokes.py`; both are tested by the cases in `tests/golden`. Distances are
 * fractions of the picture's side.
 */

export const SPACING_RADII = 0.5; // dabs of a brush are half a radius apart
export const WHOLE_IMAGE_RADIUS = 0.25; // for the whole image, one "radius" of travel is a quarter of the side
export const RADIUS = { min: 0.03, max: 0.5, default: 0.15 };
export const STRENGTH = { min: 2, max: 300, default: 30 };
const STEP = 1e-9; // of rounding error that a dab may be early

export type MouseMode = "whole image" | "brush" | "brush while pressed";
export const MOUSE_MODES: readonly MouseMode[] = ["whole image", "brush", "brush while pressed"];

/** A place in the picture: fractions of its width and height, 0 left and top. */
export type Point = readonly [x: number, y: number];

/** One injection, `amount` in time steps; everywhere if there is no centre. */
export interface Dab {
  center: Point | undefined;
  radius: number;
  amount: number;
}

/** Follows a pointer and says what it injects. */
export class Stroke {
  #last: Point | undefined;
  #travelled = 0; // since the last dab

  /** End the stroke: the pointer has left the picture, or was lifted. */
  lift(): void {
    this.#last = undefined;
    this.#travelled = 0;
  }

  /**
   * Follow the pointer in a straight line to `point`; return the dabs of this piece of the path.
   *
   * `strength` is in time steps for each radius travelled.
   */
  move(point: Point, mode: MouseMode, radius: number, strength: number): Dab[] {
    const last = this.#last;
    this.#last = point;
    if (last === undefined) {
      const pressed = mode === "brush while pressed"; // a click leaves a mark
      return pressed ? [{ center: point, radius, amount: strength * SPACING_RADII }] : [];
    }
    const length = Math.hypot(point[0] - last[0], point[1] - last[1]);
    if (mode === "whole image") {
      const amount = (strength * length) / WHOLE_IMAGE_RADIUS;
      return amount > 0 ? [{ center: undefined, radius: 1, amount }] : [];
    }
    const spacing = SPACING_RADII * radius;
    const dabs: Dab[] = [];
    let along = Math.max(spacing - this.#travelled, 0); // from `last` to the next dab
    for (; along <= length + STEP; along += spacing) {
      const share = length ? Math.min(along / length, 1) : 0;
      const center: Point = [last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1])];
      dabs.push({ center, radius, amount: strength * SPACING_RADII });
    }
    this.#travelled = length - (along - spacing);
    return dabs;
  }
}

/**
 * Return at most `limit` dabs with the same total dose: neighbours on the path become one.
 *
 * Dabs of the whole image are always added up to one. The order of what remains is kept.
 */
export function merged(dabs: readonly Dab[], limit: number): Dab[] {
  const everywhere = dabs.reduce((sum, dab) => (dab.center ? sum : sum + dab.amount), 0);
  const local = dabs.filter((dab) => dab.center);
  const result: Dab[] = everywhere ? [{ center: undefined, radius: 1, amount: everywhere }] : [];
  const share = Math.max(Math.ceil(local.length / Math.max(limit - result.length, 1)), 1);
  for (let first = 0; first < local.length; first += share) {
    const group = local.slice(first, first + share);
    const middle = group[group.length >> 1]!;
    result.push({ ...middle, amount: group.reduce((sum, dab) => sum + dab.amount, 0) });
  }
  return result;
}

/** A picture drawn by hand, in the model's own size, and what noise would make of it (`experiments/canvas.py`). */

import type { Shape } from "../contract/messages.ts";
import type { Schedule } from "./schedule.ts";
import type { Point } from "./strokes.ts";

const WIDTH = { default: 2.6, min: 1, max: 8 }; // of a stroke, px of a picture of SIDE_PX
const SIDE_PX = 28;
const RUBBER_FACTOR = 2; // times the stroke, so that one way over it leaves no edges
const EDGE_PX = 1.3; // over which a stroke fades, as in scanned digits; in px of any picture

/** White strokes on black, and the time step from which they are to be denoised. */
export class Drawing {
  readonly shape: Shape;
  readonly widths: { min: number; max: number }; // of a stroke, px of the picture
  width: number;
  share = 0.5; // the time step over T, so that it means the same for any schedule
  version = 0; // rises with every change of the ink
  readonly #ink: Float32Array; // (H, W), 0 black … 1 white
  readonly #noise: Float32Array; // (C, H, W)
  #last: Point | undefined; // px

  constructor(shape: Shape) {
    const { channels, height, width } = shape;
    const scale = Math.min(height, width) / SIDE_PX;
    this.shape = shape;
    this.widths = { min: WIDTH.min * scale, max: WIDTH.max * scale };
    this.width = WIDTH.default * scale;
    this.#ink = new Float32Array(height * width);
    this.#noise = Float32Array.from({ length: channels * height * width }, normal);
  }

  /** Draw, or erase, a straight line from the last point to this one, in fractions of the picture; or a dot. */
  stroke([x, y]: Point, erase = false): void {
    const { height, width } = this.shape;
    const end: Point = [x * width, y * height];
    const start = this.#last ?? end;
    this.#last = end;
    const across = this.widthOf(erase);
    for (let i = 0; i < this.#ink.length; i++) {
      const center: Point = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
      const cover = (across + EDGE_PX - 2 * distance(center, start, end)) / (2 * EDGE_PX);
      const covered = Math.min(Math.max(cover, 0), 1);
      this.#ink[i] = erase ? Math.min(this.#ink[i]!, 1 - covered) : Math.max(this.#ink[i]!, covered);
    }
    this.version += 1;
  }

  /** Return the width of the stroke, or of the eraser, px of the picture. */
  widthOf(erase: boolean): number {
    return this.width * (erase ? RUBBER_FACTOR : 1);
  }

  /** End the stroke: the next point begins another one. */
  lift(): void {
    this.#last = undefined;
  }

  clear(): void {
    this.#ink.fill(0);
    this.version += 1;
  }

  /** Return the time step to denoise from, 1…T. */
  timeStep(T: number): number {
    return Math.max(Math.round(this.share * T), 1);
  }

  /** Return the picture as a session takes it: C·H·W bytes, 0 black … 255 white. */
  content(): Uint8Array<ArrayBuffer> {
    const pixels = this.#ink.length;
    return Uint8Array.from({ length: this.shape.channels * pixels }, (_, i) => Math.round(this.#ink[i % pixels]! * 255));
  }

  /** Return the drawing at its time step, x_t = √ᾱ·x0 + √(1−ᾱ)·ε; the session's own noise is another. */
  noised(schedule: Schedule): Float32Array {
    const share = schedule.alphasCumprod[this.timeStep(schedule.steps)] ?? 0;
    const [a, s] = [Math.sqrt(share), Math.sqrt(1 - share)];
    return this.#noise.map((noise, i) => a * (2 * this.#ink[i % this.#ink.length]! - 1) + s * noise);
  }
}

/** Return the distance of a point from the line between two others. */
function distance([x, y]: Point, start: Point, end: Point): number {
  const [px, py] = [x - start[0], y - start[1]];
  const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
  return Math.hypot(px - along * dx, py - along * dy);
}

/** Return a unit Gaussian number (Box and Muller 1958). */
function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

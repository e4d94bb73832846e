/** What is seen of noise that was sent: at once in the picture, and for long on the time line. */

import type { Inject } from "../diffusion_toy/v1/denoise_pb.ts";
import { type Command, type Frame, InjectionRule, type Shape } from "../contract/messages.ts";

const SPECKLE_S = 0.25; // a speckle that no frame answers goes after this
const SPECKLE_SHARE = 0.47; // of the noise that stands for what was just added
const MARKS_KEPT = 64;

/** An injection that was sent and that no frame shows yet. */
interface Speckle {
  sequence: number;
  inject: Inject;
  expires: number; // seconds
}

/** Shows the strokes of one session before the server answers. */
export class Feedback {
  speckles: Speckle[] = [];
  marks: number[] = []; // time steps at which noise was added since the last restart
  #timeStep: number | undefined; // of the newest frame
  #ahead: number[] = []; // injections of a replay that wait for their turn
  #sentAgain = false;

  /** Whether the person is changing what the network is told, not the picture. */
  get lies(): boolean {
    return this.speckles.some((speckle) => speckle.inject.rule === InjectionRule.LIE);
  }

  /** Show an injection that was sent; one of a replay only once it has been applied. */
  sent(command: Command, sequence: number, now: number, ahead: boolean): void {
    if (command.case !== "inject") return;
    if (ahead) {
      this.#ahead.push(sequence);
      return;
    }
    this.speckles.push({ sequence, inject: command.value, expires: now + SPECKLE_S });
    if (this.#timeStep !== undefined) this.#mark(this.#timeStep);
  }

  #mark(timeStep: number): void {
    this.marks.push(timeStep);
    if (this.marks.length > MARKS_KEPT) this.marks.shift();
  }

  welcomed(resumed: boolean): void {
    if (resumed) {
      this.#sentAgain = true;
    } else {
      this.speckles = [];
      this.#ahead = [];
    }
  }

  /** Drop what a frame shows. */
  received(frame: Frame): void {
    this.#timeStep = frame.timeStep.max;
    while (this.speckles.length && this.speckles[0]!.sequence <= frame.appliedSequence) this.speckles.shift();
    while (this.#ahead.length && this.#ahead[0]! <= frame.appliedSequence) {
      this.#ahead.shift();
      this.#mark(this.#timeStep);
    }
  }

  /** Forget the marks: another run begins. */
  forgetRun(): void {
    this.marks = [];
  }

  /** Drop what nobody has answered until `now`, seconds. */
  passTime(now: number): void {
    if (this.#sentAgain) {
      this.#sentAgain = false;
      for (const speckle of this.speckles) speckle.expires = now + SPECKLE_S;
    }
    while (this.speckles.length && this.speckles[0]!.expires <= now) this.speckles.shift();
  }

  /** Mix other noise into RGBA where noise has just been added; `draw` gives numbers from [0, 1). */
  speckle(target: Uint8ClampedArray, shape: Shape, draw: () => number = Math.random): void {
    const inside = new Uint8Array(shape.height * shape.width);
    for (const { inject } of this.speckles) {
      if (inject.place.case === "disc") cover(inside, inject.place.value, shape);
      else inside.fill(1);
    }
    for (let i = 0; i < inside.length; i++) {
      if (!inside[i]) continue;
      const noise = draw() * 256 * SPECKLE_SHARE;
      for (let c = 0; c < 3; c++) target[4 * i + c] = target[4 * i + c]! * (1 - SPECKLE_SHARE) + noise;
    }
  }
}

/** Set 1 for the pixels whose centres lie in a disc. */
export function cover(
  inside: Uint8Array,
  disc: { x: number; y: number; radius: number },
  { height, width }: { height: number; width: number },
): void {
  const side = Math.min(height, width);
  for (let row = 0; row < height; row++) {
    const down = ((row + 0.5) / height - disc.y) * (height / side);
    for (let column = 0; column < width; column++) {
      const right = ((column + 0.5) / width - disc.x) * (width / side);
      if (down ** 2 + right ** 2 <= disc.radius ** 2) inside[row * width + column] = 1;
    }
  }
}

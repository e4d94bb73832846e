/** The pictures: x_t, which is touched, the guess x̂0, and the noise ε̂ that is between them. */

import type { Shape } from "../contract/messages.ts";
import { bytesOf, dim, heat, paint, paintNoise } from "../core/colormaps.ts";
import { type Residual, residualOf } from "../core/residual.ts";
import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { context, h, hide, mark, type Size, sizeOf } from "./dom.ts";

/** A canvas with the pixels of one picture; the browser enlarges them. */
export class Pane {
  readonly canvas = h("canvas");
  readonly #context = context(this.canvas);
  #image = new ImageData(1, 1);

  draw(shape: Shape, write: (target: Uint8ClampedArray) => void): void {
    const { width, height } = shape;
    if (this.#image.width !== width || this.#image.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.canvas.style.aspectRatio = `${width} / ${height}`;
      this.#image = new ImageData(width, height);
    }
    write(this.#image.data);
    this.#context.putImageData(this.#image, 0, 0);
  }
}

export class Pictures {
  readonly touched = h("div", { class: "touched" });
  readonly sides: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  residual: Residual | undefined; // of the frame that is shown
  readonly #panes = { noisy: new Pane(), guess: new Pane(), noise: new Pane() };
  readonly #ring = h("div", { class: "ring", aria: { hidden: "true" } });
  readonly #here = h("div", { class: "here", aria: { hidden: "true" } });
  readonly #words: Words;
  readonly #appearance: Appearance;
  readonly #size: Size;
  #shown: unknown[] = [];

  constructor(words: Words, appearance: Appearance) {
    this.#words = words;
    this.#appearance = appearance;
    const { noisy, guess, noise } = this.#panes;
    this.canvas = noisy.canvas;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-description", words.noisyKeys);
    this.#size = sizeOf(this.canvas);
    this.touched.append(this.canvas, this.#ring, this.#here);
    guess.canvas.setAttribute("role", "img");
    guess.canvas.setAttribute("aria-label", words.guess);
    noise.canvas.setAttribute("role", "img");
    noise.canvas.setAttribute("aria-label", words.noise);
    this.sides = h(
      "div",
      { class: "sides" },
      h("figure", {}, guess.canvas, h("figcaption", {}, h("i", {}, "x̂₀"), ` ${words.guess}`)),
      h("figure", {}, noise.canvas, h("figcaption", {}, h("i", {}, "ε̂"), ` ${words.noise}`)),
    );
  }

  /** Draw what has changed. */
  draw(model: ViewModel): void {
    this.#drawPointer(model);
    const { frame, live, shape, schedule } = model;
    if (!frame) return;
    const { colorMap, heat: hot } = this.#appearance;
    const speckled = live && model.feedback.speckles.length > 0;
    const now = [frame, live, colorMap, hot];
    const same = now.every((one, i) => one === this.#shown[i]);
    // the same speckle never looks the same twice, and goes when it is answered
    if (same && !speckled && !this.#shown[4]) return;
    this.#shown = [...now, speckled];
    this.#panes.noisy.draw(shape, (target) => {
      paint(target, bytesOf(frame.xT), shape, colorMap);
      if (hot && frame.levelMap && schedule) {
        heat(target, frame.levelMap.map((level) => schedule.timeStepOf(level) / schedule.steps));
      }
      if (speckled) model.feedback.speckle(target, shape);
      if (!live) dim(target);
    });
    if (same) return;
    const residual = residualOf(frame, shape);
    this.residual = residual;
    this.#panes.guess.draw(shape, (target) => {
      paint(target, bytesOf(frame.x0Hat), shape, colorMap);
      if (!live) dim(target);
    });
    this.#panes.noise.draw(shape, (target) => {
      paintNoise(target, residual.eps, residual.known, shape);
      if (!live) dim(target);
    });
    // tens of time steps: a text that changes at every step is no text to listen to
    const tens = Math.ceil(Number(whole(frame.timeStep.max)) / 10) * 10;
    mark(this.canvas, "aria-label", this.#words.noisyAlt(String(tens)));
  }

  /** Show the brush where the pointer is, and the time step there. */
  #drawPointer(model: ViewModel): void {
    const { pointer, brush, live } = model;
    const shown = pointer !== undefined && live;
    hide(this.#ring, !shown);
    hide(this.#here, !shown);
    this.touched.classList.toggle("whole", shown && brush.mode === "whole image" && !model.healing);
    if (!shown) return;
    const { width, height } = this.#size;
    const everywhere = brush.mode === "whole image" && !model.healing;
    const radius = everywhere ? 8 : brush.radius * Math.min(width, height);
    const [x, y] = [pointer[0] * width, pointer[1] * height];
    this.#ring.style.transform = `translate(${x - radius}px, ${y - radius}px)`;
    this.#ring.style.width = this.#ring.style.height = `${2 * radius}px`;
    this.#ring.classList.toggle("heals", model.healing);
    const t = model.timeStepAt(pointer);
    if (t !== undefined) this.#here.textContent = `t ${whole(t)}`;
    const right = x + radius + 56 < width;
    const left = right ? x + radius + 8 : Math.max(x - radius - 56, 4);
    this.#here.style.transform = `translate(${left}px, ${Math.min(Math.max(y - 12, 4), height - 28)}px)`;
  }
}

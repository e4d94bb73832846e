/** The time line from noise (left) to clean (right): ᾱ, kept states, strokes, and where the picture is. */

import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import { color, context, fit, h, mark, sizeOf } from "./dom.ts";

const REDRAW_S = 0.1; // the marks may lag; the play head does not
const TOP = 8;
const BOTTOM = 6; // CSS pixels round the curve, for the play head and the marks

export class TimeLine {
  readonly element: HTMLElement;
  readonly #line: HTMLElement;
  readonly #canvas = h("canvas", { aria: { hidden: "true" } });
  readonly #on = context(this.#canvas);
  readonly #size = sizeOf(this.#canvas);
  readonly #head = h("div", { class: "head" });
  readonly #span = h("div", { class: "span" });
  readonly #words: Words;
  #drawn = -Infinity;

  constructor(words: Words, model: ViewModel) {
    this.#words = words;
    this.#line = h("div", { class: "line", tabIndex: 0 }, this.#canvas, this.#span, this.#head);
    mark(this.#line, "role", "slider");
    mark(this.#line, "aria-label", words.timeLine);
    mark(this.#line, "aria-valuemin", "0");
    this.element = h(
      "div",
      { class: "timeline" },
      this.#line,
      h(
        "div",
        { class: "key", aria: { hidden: "true" } },
        h("span", {}, words.noiseEnd),
        h("span", { class: "curve" }, words.share),
        h("span", { class: "added" }, words.added),
        h("span", { class: "kept" }, words.kept),
        h("span", {}, words.cleanEnd),
      ),
    );
    this.#line.addEventListener("click", (event) => {
      const box = this.#canvas.getBoundingClientRect();
      const share = (box.right - event.clientX) / box.width;
      model.jumpTo(Math.min(Math.max(share, 0), 1) * model.numTimeSteps);
    });
    this.#line.addEventListener("keydown", (event) => {
      if (event.key === "Home") model.jumpTo(model.numTimeSteps);
      else if (event.key === "PageUp") model.jumpTo((model.frame?.timeStep.max ?? 0) + model.numTimeSteps / 10);
      else return;
      event.preventDefault();
    });
  }

  /** Show where the model is, at `now` (seconds). */
  draw(model: ViewModel, now: number): void {
    const { frame, schedule } = model;
    if (!frame || !schedule) return;
    const T = schedule.steps;
    const place = (t: number): number => 1 - Math.min(Math.max(t / T, 0), 1);
    const { max, min } = frame.timeStep;
    // moved and scaled, not laid out anew: the play head moves with every picture
    this.#head.style.transform = `translateX(${100 * place(max)}%)`;
    this.#span.style.transform = `translateX(${100 * place(max)}%) scaleX(${place(min) - place(max)})`;
    const t = whole(max);
    mark(this.#line, "aria-valuemax", String(T));
    mark(this.#line, "aria-valuenow", t);
    mark(this.#line, "aria-valuetext", this.#words.timeLineValue(t, T));
    if (now - this.#drawn < REDRAW_S) return;
    this.#drawn = now;
    this.#drawMarks(model, place);
  }

  #drawMarks(model: ViewModel, place: (t: number) => number): void {
    const { frame, schedule } = model;
    if (!frame || !schedule) return;
    const on = this.#on;
    const { width, height } = this.#size;
    fit(this.#canvas, on, this.#size);
    const y = (share: number): number => height - BOTTOM - share * (height - TOP - BOTTOM);
    on.beginPath();
    on.moveTo(width, y(0));
    const every = Math.max(Math.floor(schedule.steps / 150), 1);
    for (let t = 0; t <= schedule.steps; t += every) on.lineTo(width * place(t), y(schedule.alphasCumprod[t]!));
    on.lineTo(0, y(schedule.alphasCumprod[schedule.steps]!));
    on.lineTo(0, y(0));
    on.fillStyle = color("area");
    on.fill();
    on.strokeStyle = color("curve");
    on.lineWidth = 1.5;
    on.stroke();
    on.fillStyle = color("kept");
    const kept = new Set(model.film.timeStepsSince(frame.firstKeptStep).map((t) => Math.round(width * place(t))));
    for (const x of kept) on.fillRect(x, height - BOTTOM + 1, 1, BOTTOM - 1);
    on.fillStyle = color("warning");
    for (const x of new Set(model.feedback.marks.map((t) => Math.round(width * place(t))))) {
      on.beginPath();
      on.moveTo(x - 3.5, 0);
      on.lineTo(x + 3.5, 0);
      on.lineTo(x, 6);
      on.fill();
    }
  }
}

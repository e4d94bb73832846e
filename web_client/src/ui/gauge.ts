/** The gauge with its sentence, the three levels, and the histogram of ε̂ under the normal curve. */

import type { Range } from "../contract/messages.ts";
import { finding, measuredLevel, noiseShape, warns } from "../core/gauge.ts";
import { BINS, density, LIMIT, normalDensity, type Residual } from "../core/residual.ts";
import type { ViewModel } from "../core/view_model.ts";
import type { Words } from "../words/words.ts";
import { color, context, fit, h, mark, sizeOf, write } from "./dom.ts";

const DENSITY_MAX = 0.55; // of the histogram's height; the normal curve goes up to 0.4
const REDRAW_S = 0.1;

/** Return in words whether what the network is told agrees with what is in the picture. */
export function sentence(model: ViewModel, words: Words): string {
  if (!model.frame) return "";
  if (model.feedback.lies) return words.lying;
  const { told, measured, agree } = finding(model.frame);
  return measured ? words.yetMeasured(words.told[told], measured, agree) : words.told[told];
}

class Level {
  readonly row: HTMLElement;
  readonly #bar = h("i");
  readonly #span = h("u");
  readonly #value = h("span", { class: "value" });

  constructor(label: string) {
    const track = h("span", { class: "track" }, this.#bar, this.#span);
    this.row = h("div", { class: "level" }, h("span", {}, label), track, this.#value);
  }

  set(level: Range | undefined, unknown: string): void {
    const { min, mean, max } = level ?? { min: 0, mean: 0, max: 0 };
    this.#bar.style.transform = `scaleX(${mean})`;
    this.#span.style.transform = `translateX(${100 * min}%) scaleX(${max - min})`;
    write(this.#value, level ? level.mean.toFixed(2) : unknown);
  }
}

export class Gauge {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #sentence = h("p", { class: "sentence" });
  readonly #levels: Record<"told" | "actual" | "measured", Level>;
  readonly #histogram = h("canvas");
  readonly #on = context(this.#histogram);
  readonly #size = sizeOf(this.#histogram);
  readonly #badge = h("p", { class: "badge" });
  #drawn = -Infinity;

  constructor(words: Words) {
    this.#words = words;
    this.#levels = {
      told: new Level(words.toldLevel),
      actual: new Level(words.actualLevel),
      measured: new Level(words.measuredLevel),
    };
    mark(this.#histogram, "role", "img");
    const { told, actual, measured } = this.#levels;
    this.element = h(
      "section",
      { class: "gauge" },
      h("h2", {}, words.gauge),
      this.#sentence,
      told.row,
      actual.row,
      measured.row,
      this.#histogram,
      this.#badge,
    );
  }

  draw(model: ViewModel, residual: Residual | undefined, now: number): void {
    const { frame } = model;
    if (!frame || !residual || now - this.#drawn < REDRAW_S) return;
    this.#drawn = now;
    const words = this.#words;
    write(this.#sentence, sentence(model, words));
    this.#sentence.classList.toggle("warns", warns(frame));
    this.#levels.told.set(frame.nominal, words.unknown);
    this.#levels.actual.set(frame.actual, words.unknown);
    const measured = measuredLevel(frame);
    const range = measured === undefined ? undefined : { min: measured, mean: measured, max: measured };
    this.#levels.measured.set(range, words.unknown);
    const { shape, odd } = noiseShape(frame, residual.count);
    write(this.#badge, `ε̂: ${words.shapes[shape]}`);
    this.#badge.classList.toggle("odd", odd);
    mark(this.#histogram, "aria-label", words.histogram(words.shapes[shape]));
    this.#drawHistogram(residual);
  }

  #drawHistogram(residual: Residual): void {
    const on = this.#on;
    const { width, height } = this.#size;
    if (!width) return; // not shown
    fit(this.#histogram, on, this.#size);
    on.fillStyle = color("curve");
    density(residual).forEach((value, i) => {
      const top = Math.min(value / DENSITY_MAX, 1) * height;
      on.fillRect((i * width) / BINS, height - top, width / BINS - 1, top);
    });
    on.strokeStyle = color("accent");
    on.lineWidth = 1.5;
    on.beginPath();
    for (let i = 0; i <= 64; i++) {
      const z = -LIMIT + (i / 64) * 2 * LIMIT;
      on.lineTo((i / 64) * width, height - (normalDensity(z) / DENSITY_MAX) * height);
    }
    on.stroke();
  }
}

/** The film: what the network guessed, step by step; a still with a line under it can be gone back to. */

import { paint } from "../core/colormaps.ts";
import type { Still } from "../core/film.ts";
import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { context, h, mark, type Size, sizeOf, write } from "./dom.ts";

const REDRAW_S = 0.2;
const CELL_PX = 52; // a still and the gap beside it

interface Cell {
  button: HTMLButtonElement;
  canvas: HTMLCanvasElement;
  label: HTMLElement;
  still: Still | undefined;
  colorMap: string;
}

export class FilmStrip {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #appearance: Appearance;
  readonly #model: ViewModel;
  readonly #size: Size;
  #cells: Cell[] = [];
  #drawn = -Infinity;

  constructor(words: Words, appearance: Appearance, model: ViewModel) {
    this.#words = words;
    this.#appearance = appearance;
    this.#model = model;
    this.element = h("div", { class: "film", aria: { label: words.film } });
    this.element.setAttribute("role", "group");
    this.#size = sizeOf(this.element);
  }

  draw(now: number): void {
    if (now - this.#drawn < REDRAW_S) return;
    this.#drawn = now;
    const model = this.#model;
    const stills = model.film.shown(Math.max(Math.floor(this.#size.width / CELL_PX), 1));
    while (this.#cells.length < stills.length) this.#cells.push(this.#newCell());
    for (const cell of this.#cells.splice(stills.length)) cell.button.remove();
    stills.forEach((still, i) => {
      this.#drawCell(this.#cells[i]!, still, i === stills.length - 1);
    });
  }

  #newCell(): Cell {
    const canvas = h("canvas");
    const label = h("span");
    const button = h("button", { type: "button" }, canvas, label);
    const cell: Cell = { button, canvas, label, still: undefined, colorMap: "" };
    button.addEventListener("click", () => {
      if (cell.still) this.#model.jumpToStep(cell.still.step);
    });
    this.element.append(button);
    return cell;
  }

  #drawCell(cell: Cell, still: Still, newest: boolean): void {
    const { frame, shape } = this.#model;
    const kept = still.step >= (frame?.firstKeptStep ?? 0);
    cell.button.classList.toggle("newest", newest);
    cell.button.classList.toggle("kept", kept);
    cell.button.disabled = !kept;
    const { colorMap } = this.#appearance;
    if (cell.still === still && cell.colorMap === colorMap) return;
    cell.still = still;
    cell.colorMap = colorMap;
    const { width, height } = shape;
    if (cell.canvas.width !== width || cell.canvas.height !== height) Object.assign(cell.canvas, { width, height });
    const image = new ImageData(width, height);
    paint(image.data, still.bytes, shape, colorMap);
    context(cell.canvas).putImageData(image, 0, 0);
    write(cell.label, whole(still.timeStep));
    mark(cell.button, "aria-label", this.#words.filmGo(whole(still.timeStep)));
  }
}

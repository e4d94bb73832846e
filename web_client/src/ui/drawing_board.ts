/** One's own picture: a canvas for finger, pen, mouse and keys, and from which noise level to begin. */

import { bytesOf, paint } from "../core/colormaps.ts";
import { Drawing } from "../core/drawing.ts";
import type { Point } from "../core/strokes.ts";
import type { ViewModel } from "../core/view_model.ts";
import type { Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { button, h, hide, mark, type Slider, slider, write } from "./dom.ts";
import { Pane } from "./pictures.ts";
import { acts } from "./shortcuts.ts";

const SHARE_STEP = 1 / 60;
const RIGHT_OR_RUBBER = 2 | 32; // `PointerEvent.buttons`: of a mouse, and the end of a pen

export class DrawingBoard {
  readonly dialog: HTMLDialogElement;
  readonly #words: Words;
  readonly #model: ViewModel;
  readonly #appearance: Appearance;
  readonly #pane = new Pane();
  readonly #preview = new Pane();
  readonly #ring = h("div", { class: "ring", aria: { hidden: "true" } });
  readonly #says = h("p");
  readonly #width = h("div");
  readonly #rubber: HTMLButtonElement;
  readonly #share: Slider;
  #drawing: Drawing | undefined;
  #pointer: Point | undefined; // in fractions of the picture
  #down = false; // the pen is on the paper, by keys
  #shown: unknown[] = [];

  /** `drawing` is one that was begun before. */
  constructor(words: Words, model: ViewModel, appearance: Appearance, drawing?: Drawing) {
    this.#words = words;
    this.#model = model;
    this.#appearance = appearance;
    this.#drawing = drawing;
    const { canvas } = this.#pane;
    canvas.tabIndex = 0;
    mark(canvas, "role", "application");
    mark(canvas, "aria-label", words.draw);
    mark(canvas, "aria-description", words.drawKeys);
    mark(this.#preview.canvas, "role", "img");
    mark(this.#preview.canvas, "aria-label", words.drawNoised);
    mark(this.#says, "role", "status");
    this.#listen(canvas);
    this.#rubber = button(words.drawRubber, () => {
      mark(this.#rubber, "aria-pressed", !this.#erasing);
    });
    mark(this.#rubber, "aria-pressed", false);
    this.#share = slider(words.drawFrom, { min: 0, max: 1, step: SHARE_STEP }, (share) => this.#timeStep(share), (share) => {
      if (this.#drawing) this.#drawing.share = share;
    });
    const close = (): void => { this.dialog.close(); };
    this.dialog = h(
      "dialog",
      { class: "drawing", aria: { label: words.draw } },
      h("div", { class: "paper" }, canvas, this.#ring),
      h("div", { class: "tools" },
        h("div", { class: "pair" }, this.#rubber, button(words.drawClear, () => { this.#drawing?.clear(); })),
        this.#share.row,
        this.#width,
        h("figure", {}, this.#preview.canvas, h("figcaption", {}, words.drawNoised)),
        button(words.drawDenoise, () => { this.#begin(false); }, "primary"),
        button(words.drawForward, () => { this.#begin(true); }),
        button(words.close, close),
        this.#says,
      ),
    );
    this.dialog.addEventListener("close", () => { this.#lift(); });
  }

  /** Return what is drawn, so that it outlives this board. */
  get drawing(): Drawing | undefined {
    return this.#drawing;
  }

  open(): void {
    const { shape, watching } = this.#model;
    if (watching) {
      this.#model.notice = { what: "watching" };
      return;
    }
    const known = this.#drawing?.shape;
    const same = known?.channels === shape.channels && known.height === shape.height && known.width === shape.width;
    const drawing = same && this.#drawing ? this.#drawing : new Drawing(shape);
    this.#drawing = drawing;
    const width = slider(this.#words.drawWidth, { ...drawing.widths, step: 0.1 }, this.#words.pixels, (value) => {
      drawing.width = value;
    });
    width.set(drawing.width);
    this.#width.replaceChildren(width.row);
    this.#share.set(drawing.share);
    write(this.#says, "");
    this.dialog.showModal();
    this.#pane.canvas.focus();
  }

  /** Draw what has changed. */
  draw(): void {
    const drawing = this.#drawing;
    if (!drawing || !this.dialog.open) return;
    this.#drawPointer(drawing);
    const { schedule } = this.#model;
    const { colorMap } = this.#appearance;
    const now = [drawing, drawing.version, drawing.share, schedule, colorMap];
    if (now.every((one, i) => one === this.#shown[i])) return;
    this.#shown = now;
    const { shape } = drawing;
    this.#pane.draw(shape, (target) => { paint(target, drawing.content(), shape, colorMap); });
    if (!schedule) return;
    this.#preview.draw(shape, (target) => { paint(target, bytesOf(drawing.noised(schedule)), shape, colorMap); });
  }

  #drawPointer(drawing: Drawing): void {
    hide(this.#ring, !this.#pointer);
    if (!this.#pointer) return;
    const { clientWidth, clientHeight } = this.#pane.canvas;
    const size = (drawing.widthOf(this.#erasing) * clientWidth) / drawing.shape.width;
    const [x, y] = [this.#pointer[0] * clientWidth, this.#pointer[1] * clientHeight];
    this.#ring.style.width = this.#ring.style.height = `${size}px`;
    this.#ring.style.transform = `translate(${x - size / 2}px, ${y - size / 2}px)`;
    this.#ring.classList.toggle("heals", this.#erasing);
  }

  get #erasing(): boolean {
    return this.#rubber.getAttribute("aria-pressed") === "true";
  }

  #timeStep(share: number): string {
    const T = this.#model.numTimeSteps;
    return this.#words.timeStepOf(String(Math.max(Math.round(share * T), 1)), T);
  }

  #lift(): void {
    this.#down = false;
    this.#drawing?.lift();
  }

  /** Let the session begin with the drawing: at its time step, or clean and running forward. */
  #begin(clean: boolean): void {
    const model = this.#model;
    if (!this.#drawing) return;
    if (!model.live) {
      write(this.#says, this.#words.drawOffline);
      return;
    }
    model.beginWith(this.#drawing.content(), clean ? 0 : this.#drawing.timeStep(model.numTimeSteps));
    this.dialog.close();
  }

  #listen(canvas: HTMLCanvasElement): void {
    const held = new Set<number>();
    const pointOf = (event: MouseEvent): Point => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    const follow = (event: PointerEvent): void => {
      const events = event.getCoalescedEvents();
      for (const one of events.length ? events : [event]) {
        this.#pointer = pointOf(one);
        const erase = this.#erasing || (event.buttons & RIGHT_OR_RUBBER) !== 0;
        if (held.has(event.pointerId)) this.#drawing?.stroke(this.#pointer, erase);
      }
    };
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      if (held.size) return; // a second finger draws no line from the first
      canvas.setPointerCapture(event.pointerId);
      this.#lift();
      held.add(event.pointerId);
      follow(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held.size || held.has(event.pointerId)) follow(event);
    });
    const up = (event: PointerEvent): void => {
      if (held.delete(event.pointerId)) this.#lift();
      if (event.pointerType !== "mouse") this.#pointer = undefined;
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => { this.#pointer = undefined; });
    canvas.addEventListener("contextmenu", (event) => { event.preventDefault(); });
    canvas.addEventListener("keydown", (event) => { this.#key(event); });
  }

  /** Arrows move the pen; Space and Enter put it down, or lift it. */
  #key(event: KeyboardEvent): void {
    const drawing = this.#drawing;
    if (!drawing || event.ctrlKey || event.altKey || event.metaKey) return;
    const moves: Record<string, Point> = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    const [x, y] = this.#pointer ?? [0.5, 0.5];
    const inside = (value: number): number => Math.min(Math.max(value, 0), 1);
    if (move) {
      this.#pointer = [inside(x + move[0] / drawing.shape.width), inside(y + move[1] / drawing.shape.height)];
    } else if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      if (!acts(event)) return;
      this.#pointer = [x, y];
      this.#down = !this.#down;
      drawing.lift();
    } else {
      return;
    }
    if (this.#down) drawing.stroke(this.#pointer, this.#erasing);
    event.preventDefault();
  }
}

/** The twin over the page: both pictures, their guesses, and the difference of these (`overlays/twin.py`). */

import { NO_LABEL } from "../contract/messages.ts";
import { bytesOf, paint } from "../core/colormaps.ts";
import type { ViewModel } from "../core/view_model.ts";
import { type Difference, DIFFERENCES, type Treatment, valuesOf } from "../experiments/difference.ts";
import type { Twin } from "../experiments/twin.ts";
import { whole, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { Aloud, button, choice, type Choice, h, hide, iconButton, mark, setIcon, write } from "./dom.ts";
import { Pane } from "./pictures.ts";
import { acts, brushAction } from "./shortcuts.ts";
import { follow } from "./touch.ts";

/** One of the five pictures, with its title and what stands at the title's end. */
class Shown {
  readonly pane = new Pane();
  readonly ring = h("div", { class: "ring", hidden: true, aria: { hidden: "true" } });
  readonly element: HTMLElement;
  readonly #title = h("span");
  readonly #t = h("b");

  constructor(title: string, role = "img") {
    mark(this.pane.canvas, "role", role);
    this.element = h(
      "figure", {}, h("figcaption", {}, this.#title, " ", this.#t), h("div", { class: "ringed" }, this.pane.canvas, this.ring),
    );
    this.name(title);
  }

  name(title: string, t = ""): void {
    write(this.#title, title);
    write(this.#t, t);
    mark(this.pane.canvas, "aria-label", title);
  }
}

export class TwinPanel {
  readonly dialog: HTMLDialogElement;
  readonly #words: Words;
  readonly #model: ViewModel;
  readonly #appearance: Appearance;
  readonly #twin: Twin;
  readonly #own: Shown;
  readonly #other: Shown;
  readonly #guesses: Shown[];
  readonly #difference: Shown;
  readonly #things: HTMLButtonElement[];
  readonly #value: Choice<number>;
  readonly #play: HTMLButtonElement;
  readonly #figure = h("b");
  readonly #sentence = h("p", { class: "sentence" });
  readonly #aloud = new Aloud();
  #shown: unknown[] = [];

  constructor(words: Words, model: ViewModel, appearance: Appearance, twin: Twin) {
    this.#words = words;
    this.#model = model;
    this.#appearance = appearance;
    this.#twin = twin;
    this.#own = new Shown("", "application");
    this.#other = new Shown("");
    this.#guesses = [new Shown(words.guess), new Shown(words.guess)];
    this.#difference = new Shown(words.difference);
    const { canvas } = this.#own.pane;
    canvas.tabIndex = 0;
    mark(canvas, "aria-description", words.noisyKeys);
    follow(canvas, twin);
    this.#things = DIFFERENCES.map((what) => button(words.things[what], () => { twin.choose(what); }));
    this.#value = choice<number>(words.twinHas, [], (one) => this.#nameOf({ ...twin.other, [twin.what]: one }), (one) => {
      twin.treat({ ...twin.treatment, [twin.what]: one });
    });
    this.#play = iconButton("play", words.play, "", () => { twin.togglePlay(); });
    this.#play.classList.add("primary");
    const things = h("div", { class: "things", aria: { label: words.twin } }, ...this.#things);
    mark(things, "role", "group");
    this.dialog = h(
      "dialog",
      { class: "comparison", aria: { label: words.twin } },
      h("div", { class: "heading" }, h("h2", {}, words.twin), button(words.close, () => { this.dialog.close(); })),
      h("div", { class: "heading" }, things, this.#value.row),
      h(
        "div", { class: "twins" },
        this.#own.element, this.#other.element, this.#difference.element,
        ...this.#guesses.map((one) => one.element),
        h("div", {},
          h("p", { class: "legend" }, words.twinDarker, h("i"), words.twinLighter),
          h("p", {}, this.#figure, " ", words.rms), this.#sentence, h("p", { class: "means" }, words.twinHint)),
      ),
      h("div", { class: "transport" },
        iconButton("newSeed", words.newSeed, words.newSeedHint, () => { twin.newSeed(); }),
        iconButton("restart", words.restart, words.restartHint, () => { twin.restart(); }),
        this.#play,
        iconButton("step", words.stepOn, words.stepOnHint, () => { twin.step(); })),
      this.#aloud.element,
    );
    this.dialog.addEventListener("close", () => { twin.close(); });
    this.dialog.addEventListener("keydown", (event) => { this.#key(event); });
  }

  get closed(): boolean {
    return this.#twin.closed;
  }

  close(): void {
    this.#twin.close();
  }

  focus(): void {
    this.#own.pane.canvas.focus();
  }

  /** Take in what has come, and draw what has changed. */
  draw(now: number): void {
    const twin = this.#twin;
    const words = this.#words;
    twin.update(now);
    this.#drawPointer();
    setIcon(this.#play, twin.playing ? "pause" : "play");
    mark(this.#play, "aria-label", twin.playing ? words.pause : words.play);
    const shown = [twin.pair, twin.other, twin.diverged, this.#appearance.colorMap];
    if (shown.every((one, i) => one === this.#shown[i])) return;
    this.#shown = shown;
    DIFFERENCES.forEach((what, i) => { mark(this.#things[i]!, "aria-pressed", what === twin.what); });
    this.#value.options(valuesOf(twin.what, twin.classes).filter((one) => one !== twin.treatment[twin.what]));
    this.#value.set(twin.other[twin.what]);
    const [t, twinT] = twin.pair?.map((frame) => `t ${whole(frame.timeStep.max)}`) ?? ["t –", "t –"];
    this.#own.name(words.asItIs(this.#nameOf(twin.treatment)), t);
    this.#other.name(words.theTwin(this.#nameOf(twin.other)), twinT);
    write(this.#figure, twin.difference === undefined ? "–" : words.figure(twin.difference));
    const sentence = words.findings[twin.finding];
    write(this.#sentence, sentence);
    this.#sentence.classList.toggle("warns", twin.diverged);
    this.#aloud.say(sentence, now);
    this.#drawPictures();
  }

  #drawPictures(): void {
    const { shape } = this.#model;
    const { colorMap } = this.#appearance;
    const [first, second] = this.#twin.pair ?? [];
    if (!first || !second) return;
    const show = (one: Shown, values: Float32Array, map = colorMap): void => {
      one.pane.draw(shape, (target) => { paint(target, bytesOf(values), shape, map); });
    };
    show(this.#own, first.xT);
    show(this.#other, second.xT);
    show(this.#guesses[0]!, first.x0Hat);
    show(this.#guesses[1]!, second.x0Hat);
    show(this.#difference, second.x0Hat.map((value, i) => value - first.x0Hat[i]!), "diverging");
  }

  /** Draw the ring of the brush on both pictures, at the same place. */
  #drawPointer(): void {
    const { pointer, brush } = this.#twin;
    const { width, height } = this.#model.shape;
    const radius = (brush.mode === "whole image" ? 0.025 : brush.radius) * Math.min(width, height);
    const [right, down] = [radius / width, radius / height];
    for (const { ring } of [this.#own, this.#other]) {
      hide(ring, !pointer);
      if (!pointer) continue;
      Object.assign(ring.style, {
        left: `${100 * (pointer[0] - right)}%`, top: `${100 * (pointer[1] - down)}%`, width: `${200 * right}%`,
      });
    }
  }

  /** Return in words how a session is treated, as far as the two differ. */
  #nameOf(treatment: Treatment): string {
    const words = this.#words;
    const { what } = this.#twin;
    const name: Record<Difference, () => string> = {
      kind: () => `${words.kind}: ${words.kinds[treatment.kind]}`,
      rule: () => `${words.rule}: ${words.rules[treatment.rule]}`,
      sampler: () => words.samplers[treatment.sampler],
      label: () => words.classOf(this.#model.labelNames[treatment.label]),
    };
    return name[what]();
  }

  #key(event: KeyboardEvent): void {
    const twin = this.#twin;
    const target = event.target as Element;
    if (!this.#appearance.shortcuts || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.defaultPrevented || target.matches("select")) return;
    if (target.matches("button") && (event.key === " " || event.key === "Enter")) return;
    const { key } = event;
    const digit = /^[0-9]$/.test(key) ? Number(key) : undefined;
    const what = digit && twin.what !== "label" ? DIFFERENCES[digit - 1] : undefined;
    const actions: Record<string, () => void> = {
      " ": () => { twin.togglePlay(); },
      ArrowRight: () => { twin.step(); },
      r: () => { twin.restart(); },
      n: () => { twin.newSeed(); },
      k: () => { twin.change("kind"); },
      t: () => { twin.change("rule"); },
      d: () => { twin.change("sampler"); },
      l: () => { twin.chooseLabel(NO_LABEL); },
      "-": () => { twin.chooseLabel(NO_LABEL); },
      j: () => { this.dialog.close(); },
    };
    const chosen = (): void => {
      if (what) twin.choose(what);
      else twin.chooseLabel(digit!);
    };
    const action = digit === undefined ? actions[key.length === 1 ? key.toLowerCase() : key] : chosen;
    const act = action ?? brushAction(key, this.#model);
    if (!act) return;
    event.preventDefault();
    if (acts(event)) act();
  }
}

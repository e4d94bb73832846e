/** The buttons that let time run, and the time step in large figures. */

import { Motion } from "../contract/messages.ts";
import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import { h, iconButton, mark, setIcon, write } from "./dom.ts";

export class Transport {
  readonly element: HTMLElement;
  readonly readout: HTMLElement;
  readonly #words: Words;
  readonly #play: HTMLButtonElement;
  readonly #direction: HTMLButtonElement;
  readonly #t = h("b");
  readonly #T = h("span");
  readonly #range = h("small");
  readonly #state = h("p");

  constructor(words: Words, model: ViewModel) {
    this.#words = words;
    const act = (what: () => void) => () => {
      if (model.watching) model.notice = { what: "watching" };
      else what();
    };
    this.#play = iconButton("play", words.play, "", act(() => { model.togglePlay(); }));
    this.#play.classList.add("primary");
    this.#direction = iconButton("forward", words.runForward, words.runForwardHint, act(() => {
      model.toggleDirection();
    }));
    this.#direction.classList.add("toggles");
    this.element = h(
      "div",
      { class: "transport" },
      iconButton("newSeed", words.newSeed, words.newSeedHint, act(() => { model.newSeed(); })),
      iconButton("restart", words.restart, words.restartHint, act(() => { model.restart(); })),
      iconButton("undo", words.undo, words.undoHint, act(() => { model.back(); })),
      iconButton("noise", words.noiseStep, words.noiseStepHint, act(() => { model.step(Motion.FORWARD); })),
      this.#play,
      iconButton("step", words.stepOn, words.stepOnHint, act(() => { model.step(Motion.REVERSE); })),
      this.#direction,
    );
    mark(this.element, "role", "group");
    const figures = h("div", { class: "figures" }, h("i", {}, "t"), this.#t, this.#T, this.#range);
    mark(figures, "aria-label", words.timeStep);
    mark(figures, "role", "group");
    this.readout = h("div", { class: "readout" }, figures, this.#state);
  }

  draw(model: ViewModel): void {
    const { frame, motion, numTimeSteps } = model;
    const words = this.#words;
    const paused = motion === Motion.PAUSED;
    setIcon(this.#play, paused ? "play" : "pause");
    mark(this.#play, "aria-label", paused ? words.play : words.pause);
    const forward = model.direction === Motion.FORWARD;
    mark(this.#direction, "aria-label", forward ? words.runBack : words.runForward);
    mark(this.#direction, "title", forward ? words.runBackHint : words.runForwardHint);
    this.#direction.classList.toggle("on", forward);
    write(this.#t, frame ? whole(frame.timeStep.max) : "–");
    write(this.#T, `/${numTimeSteps}`);
    const { min, max } = frame?.timeStep ?? { min: 0, max: 0 };
    write(this.#range, frame?.levelMap ? `${whole(min)}–${whole(max)}` : "");
    write(this.#state, stateOf(model, words));
  }
}

/** Return in words what is going on. */
function stateOf(model: ViewModel, words: Words): string {
  const { frame, motion } = model;
  if (!frame) return words.waiting;
  if (model.replay) return words.replaying;
  if (model.watching) return words.watching;
  if (motion === Motion.PAUSED) return words.paused;
  if (motion === Motion.FORWARD) return frame.idle && frame.timeStep.min > 0 ? words.allNoise : words.forward;
  return frame.idle && frame.timeStep.max === 0 ? words.finished : words.denoising;
}

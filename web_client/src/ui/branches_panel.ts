/** The branches over the page: the moment they come from, and their pictures side by side (`overlays/branches.py`). */

import type { Frame, Shape } from "../contract/messages.ts";
import { bytesOf, dim, paint } from "../core/colormaps.ts";
import { isStochastic } from "../core/samplers.ts";
import type { ViewModel } from "../core/view_model.ts";
import { type Branch, BRANCHES, type Branches } from "../experiments/branches.ts";
import { whole, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { Aloud, button, h, mark, write } from "./dom.ts";
import { Pane } from "./pictures.ts";
import { acts } from "./shortcuts.ts";

/** A picture of one session: its guess, or what it is made from. */
class Shown {
  readonly pane = new Pane();
  #now: unknown[] = [];

  draw(frame: Frame | undefined, shape: Shape, noisy: boolean, lost: boolean, { colorMap }: Appearance): void {
    const now = [frame, noisy, lost, colorMap];
    if (!frame || now.every((one, i) => one === this.#now[i])) return;
    this.#now = now;
    this.pane.draw(shape, (target) => {
      paint(target, bytesOf(noisy ? frame.xT : frame.x0Hat), shape, colorMap);
      if (lost) dim(target);
    });
  }
}

/** A branch as a button that goes on with it. */
class Way extends Shown {
  readonly button: HTMLButtonElement;
  readonly t = h("b");

  constructor(words: Words, { seed }: Branch, act: () => void) {
    super();
    mark(this.pane.canvas, "aria-hidden", "true");
    this.button = button("", act, "way");
    this.button.title = words.takeBranch;
    this.button.append(this.pane.canvas, h("span", {}, this.t, h("span", {}, ` ${words.seed} ${seed}`)));
  }
}

export class BranchesPanel {
  readonly dialog: HTMLDialogElement;
  readonly #words: Words;
  readonly #model: ViewModel;
  readonly #appearance: Appearance;
  readonly #branches: Branches;
  readonly #title = h("h2");
  readonly #room = h("p", { class: "warns sentence" });
  readonly #sentence = h("p", { class: "outcome" });
  readonly #grid = h("div", { class: "ways" });
  readonly #noisy: HTMLButtonElement;
  readonly #origin = { noisy: new Shown(), guess: new Shown() };
  readonly #ways = new Map<Branch, Way>();
  readonly #aloud = new Aloud();

  constructor(words: Words, model: ViewModel, appearance: Appearance, branches: Branches) {
    this.#words = words;
    this.#model = model;
    this.#appearance = appearance;
    this.#branches = branches;
    const toggle = (): void => { mark(this.#noisy, "aria-pressed", !this.#showsNoisy); };
    this.#noisy = button(words.noisyBranches, toggle);
    mark(this.#noisy, "aria-pressed", false);
    const { noisy, guess } = this.#origin;
    for (const [{ pane }, name] of [[noisy, words.originNoisy], [guess, words.guess]] as const) {
      mark(pane.canvas, "role", "img");
      mark(pane.canvas, "aria-label", name);
    }
    const close = button(words.close, () => { this.dialog.close(); });
    this.dialog = h(
      "dialog",
      { class: "comparison", aria: { label: words.branches } },
      h("div", { class: "heading" },
        noisy.pane.canvas, guess.pane.canvas,
        h("div", {}, this.#title, h("p", {}, words.branchesMean), this.#room, h("p", { class: "means" }, words.branchesHint)),
        this.#noisy, close),
      this.#grid, this.#sentence, this.#aloud.element,
    );
    this.dialog.addEventListener("close", () => { branches.close(); });
    this.dialog.addEventListener("keydown", (event) => {
      if (!appearance.shortcuts || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key.toLowerCase() === "b" && acts(event)) this.dialog.close();
    });
  }

  get closed(): boolean {
    return this.#branches.closed;
  }

  close(): void {
    this.#branches.close();
  }

  focus(): void {
    this.#noisy.focus();
  }

  get #showsNoisy(): boolean {
    return this.#noisy.getAttribute("aria-pressed") === "true";
  }

  /** Take in what has come, and draw what has changed. */
  draw(now: number): void {
    const branches = this.#branches;
    const words = this.#words;
    branches.update(now);
    const { origin, branches: all, stage } = branches;
    const { shape } = this.#model;
    this.#origin.noisy.draw(origin, shape, true, false, this.#appearance);
    this.#origin.guess.draw(origin, shape, false, false, this.#appearance);
    const from = origin && `t ${whole(origin.timeStep.max)}/${origin.settings.numTimeSteps}`;
    write(this.#title, from ? words.waysOn(all.length, from) : words.branches);
    write(this.#room, all.length && all.length < BRANCHES ? words.branchesRoom(all.length, BRANCHES) : "");
    for (const [branch, way] of this.#ways) {
      if (all.includes(branch)) continue;
      way.button.remove();
      this.#ways.delete(branch);
    }
    for (const branch of all) this.#drawWay(branch);
    const sentence = this.#says();
    write(this.#sentence, sentence);
    // the mean changes with every picture: that is no text to listen to
    if (stage !== "running") this.#aloud.say(sentence, now);
  }

  #drawWay(branch: Branch): void {
    let way = this.#ways.get(branch);
    if (!way) {
      way = new Way(this.#words, branch, () => { this.#branches.adopt(branch); });
      this.#ways.set(branch, way);
      this.#grid.append(way.button);
    }
    const lost = branch.joined && branch.link.failed;
    way.draw(branch.frame, this.#model.shape, this.#showsNoisy, lost, this.#appearance);
    write(way.t, branch.frame ? `t ${whole(branch.frame.timeStep.max)}` : this.#words.joining);
  }

  /** Return in words what goes on, and in the end what came of it. */
  #says(): string {
    const words = this.#words;
    const { stage, branches, origin, agreement } = this.#branches;
    const count = branches.length;
    if (stage === "pausing") return words.branchesPause;
    if (stage === "opening" || !origin) return words.branchesOpen(count);
    if (!agreement) return count === 1 ? words.branchesSingle : "";
    const { correlation, alike, same } = agreement;
    const figure = words.correlation(words.figure(correlation));
    if (stage === "running") return words.branchesRun(branches.filter((one) => one.finished).length, count, figure);
    const t = whole(origin.timeStep.max);
    const { sampler, eta } = origin.settings;
    if (same) return isStochastic(sampler, eta) ? words.allSame(count, t) : words.noNoise(count, words.samplers[sampler]);
    if (alike === count) return words.allAlike(count, figure, t);
    return alike === 1 ? words.noneAlike(figure, t) : words.someAlike(alike, count, figure, t);
  }
}

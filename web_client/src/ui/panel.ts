/** What the person can choose: the class, the brush, time, the network, and how things look. */

import type { Model } from "../diffusion_toy/v1/denoise_pb.ts";
import {
  GUIDANCE_MAX, NO_LABEL, type Sampler, SEED_MAX, type Settings,
} from "../contract/messages.ts";
import { COLOR_MAPS } from "../core/colormaps.ts";
import { SAMPLERS, SCHEDULES, speeds, STRIDES } from "../core/options.ts";
import { KINDS, RULES } from "../core/brush.ts";
import { MOUSE_MODES, RADIUS, STRENGTH } from "../core/strokes.ts";
import type { ViewModel } from "../core/view_model.ts";
import { type Language, LANGUAGES, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { button, choice, h, mark, slider, toggle } from "./dom.ts";

const REDRAW_S = 0.1;

/** What the panel asks of the page beyond the model. */
export interface Page {
  chooseModel(name: string): void;
  chooseLanguage(language: Language): void;
  openDrawing(): void;
  openBranches(): void;
  openTwin(): void;
}

type Refresh = () => void;

export class Panel {
  readonly classes: HTMLElement;
  readonly brush: HTMLElement;
  readonly others: HTMLElement;
  readonly #model: ViewModel;
  readonly #words: Words;
  readonly #appearance: Appearance;
  readonly #page: Page;
  readonly #refreshed: Refresh[] = [];
  #drawn = -Infinity;
  #labels: HTMLButtonElement[] = [];
  #models: readonly Model[] = [];

  constructor(words: Words, model: ViewModel, appearance: Appearance, page: Page) {
    this.#words = words;
    this.#model = model;
    this.#appearance = appearance;
    this.#page = page;
    this.classes = h("div", { class: "classes", aria: { label: words.classes } });
    mark(this.classes, "role", "group");
    this.brush = this.#brushSection();
    this.others = h("div", { class: "others" }, this.#time(), this.#compare(), this.#network(), this.#look());
  }

  /** Offer these models. */
  set models(models: readonly Model[]) {
    this.#models = models;
  }

  /** Show what is in force, at `now` (seconds). */
  draw(now: number): void {
    if (now - this.#drawn < REDRAW_S) return;
    this.#drawn = now;
    this.#drawClasses();
    for (const refresh of this.#refreshed) refresh();
  }

  #drawClasses(): void {
    const model = this.#model;
    const names = model.labelNames;
    const shown = this.#labels.slice(1).map((one) => one.textContent);
    if (names.length !== shown.length || names.some((name, i) => name !== shown[i])) {
      const pick = (label: number) => () => {
        this.#configure({ label });
      };
      this.#labels = [button(this.#words.anyClass, pick(NO_LABEL)), ...names.map((name, i) => button(name, pick(i)))];
      this.classes.replaceChildren(...this.#labels);
      this.classes.classList.toggle("long", names.some((name) => name.length > 2));
    }
    this.#labels.forEach((one, i) => {
      mark(one, "aria-pressed", i - 1 === model.settings.label);
    });
  }

  #configure(change: Partial<Settings>): void {
    if (this.#model.watching) this.#model.notice = { what: "watching" };
    else this.#model.configure(change);
  }

  /** Keep a control at a value of the model. */
  #bound<T>(control: { row: HTMLElement; set(value: T): void }, value: () => T): HTMLElement {
    this.#refreshed.push(() => {
      control.set(value());
    });
    return control.row;
  }

  #brushSection(): HTMLElement {
    const words = this.#words;
    const { brush } = this.#model;
    const model = this.#model;
    const means = h("p", { class: "means" });
    this.#refreshed.push(() => {
      if (means.textContent !== words.ruleMeans[brush.rule]) means.textContent = words.ruleMeans[brush.rule];
    });
    const mode = choice(words.mouse, MOUSE_MODES, (one) => words.modes[one], (one) => {
      brush.mode = one;
      model.dropStrokes();
    });
    const kind = choice(words.kind, KINDS, (one) => words.kinds[one], (one) => {
      brush.kind = one;
    });
    const rule = choice(words.rule, RULES, (one) => words.rules[one], (one) => {
      brush.rule = one;
    });
    const percent = (value: number): string => words.percent(Math.round(100 * value));
    const radius = slider(words.radius, { ...RADIUS, logarithmic: true }, percent, (value) => {
      brush.radius = value;
    });
    const steps = (value: number): string => words.strengthValue(Math.round(value));
    const strength = slider(words.strength, { ...STRENGTH, logarithmic: true }, steps, (value) => {
      brush.strength = value;
    });
    return section(
      words.brush,
      true,
      this.#bound(mode, () => brush.mode),
      this.#bound(radius, () => brush.radius),
      this.#bound(strength, () => brush.strength),
      this.#bound(kind, () => brush.kind),
      this.#bound(rule, () => brush.rule),
      means,
    );
  }

  #time(): HTMLElement {
    const words = this.#words;
    const model = this.#model;
    const speed = choice(words.speed, speeds(model.tickRateHz), words.speedValue, (stepsPerSecond) => {
      this.#configure({ stepsPerSecond });
    });
    this.#refreshed.push(() => {
      speed.options(speeds(model.tickRateHz));
    });
    const stride = choice<number>(words.stride, STRIDES, words.strideValue, (one) => {
      this.#configure({ stride: one });
    });
    return section(
      words.time,
      false,
      this.#bound(speed, () => model.settings.stepsPerSecond),
      this.#bound(stride, () => model.settings.stride),
      this.#seed(),
      button(words.example, () => {
        if (model.watching) model.notice = { what: "watching" };
        else model.example();
      }, "wide"),
      button(words.draw, () => {
        this.#page.openDrawing();
      }, "wide"),
    );
  }

  #compare(): HTMLElement {
    const words = this.#words;
    const compare = section(
      words.compare,
      false,
      button(words.branches, () => { this.#page.openBranches(); }, "wide"),
      button(words.twin, () => { this.#page.openTwin(); }, "wide"),
    );
    compare.classList.add("compare"); // where the screen is wide enough
    return compare;
  }

  #seed(): HTMLElement {
    const words = this.#words;
    const model = this.#model;
    const input = h("input", { type: "text", inputMode: "numeric", autocomplete: "off", id: "seed" });
    input.pattern = "[0-9]{1,19}";
    this.#refreshed.push(() => {
      const seed = String(model.frame?.seed ?? model.start.seed ?? "");
      if (document.activeElement !== input && input.value !== seed) input.value = seed;
    });
    const form = h(
      "form",
      { class: "row seed" },
      h("label", { htmlFor: "seed" }, words.seed),
      h("span", { class: "field" }, input, h("button", { type: "submit" }, words.useSeed)),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!/^[0-9]{1,19}$/.test(input.value) || BigInt(input.value) > SEED_MAX) return;
      if (model.watching) model.notice = { what: "watching" };
      else model.restart(BigInt(input.value));
      input.blur();
    });
    return form;
  }

  #network(): HTMLElement {
    const words = this.#words;
    const model = this.#model;
    const guidance = slider(words.guidance, { min: 0, max: GUIDANCE_MAX, step: 0.5 }, String, (value) => {
      this.#configure({ guidance: value });
    });
    const sampler = choice<Sampler>(words.sampler, SAMPLERS, (one) => words.samplers[one], (one) => {
      this.#configure({ sampler: one });
    });
    const name = (one: { schedule: keyof Words["schedules"]; numTimeSteps: number }): string =>
      `${words.schedules[one.schedule]} ${one.numTimeSteps}`;
    const schedule = choice<{ schedule: keyof Words["schedules"]; numTimeSteps: number }>(
      words.schedule, SCHEDULES, name, (one) => {
        this.#configure({ schedule: one.schedule, numTimeSteps: one.numTimeSteps });
      },
    );
    const models = choice<string>(words.model, [], String, (one) => {
      this.#page.chooseModel(one);
    });
    this.#refreshed.push(() => {
      const names = this.#models.map((one) => one.name);
      const mine = model.welcome?.model?.name;
      models.options(names.length ? names : mine ? [mine] : []);
    });
    return section(
      words.network,
      false,
      this.#bound(models, () => model.welcome?.model?.name ?? ""),
      this.#bound(guidance, () => model.settings.guidance),
      this.#bound(sampler, () => model.settings.sampler),
      this.#bound(schedule, () => ({
        schedule: model.settings.schedule,
        numTimeSteps: model.settings.numTimeSteps,
      })),
    );
  }

  #look(): HTMLElement {
    const words = this.#words;
    const appearance = this.#appearance;
    const colors = choice(words.colors, COLOR_MAPS, (one) => words.colorMaps[one], (one) => {
      appearance.colorMap = one;
      appearance.keep();
    });
    const heat = toggle(words.heat, (on) => {
      appearance.heat = on;
      appearance.keep();
    });
    const shortcuts = toggle(words.shortcuts, (on) => {
      appearance.shortcuts = on;
      appearance.keep();
    });
    const languages = Object.keys(LANGUAGES) as Language[];
    const language = choice(words.languageName, languages, (one) => LANGUAGES[one].language, (one) => {
      this.#page.chooseLanguage(one);
    });
    return section(
      words.look,
      false,
      this.#bound(colors, () => appearance.colorMap),
      this.#bound(heat, () => appearance.heat),
      this.#bound(shortcuts, () => appearance.shortcuts),
      this.#bound(language, () => appearance.language),
    );
  }
}

function section(title: string, open: boolean, ...children: HTMLElement[]): HTMLElement {
  const wide = window.matchMedia("(min-width: 60rem)").matches;
  return h("details", { open: open || wide }, h("summary", {}, h("h2", {}, title)), ...children);
}

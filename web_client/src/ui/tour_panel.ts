/** The tour as a slim card: what the stage is about, and what to do next. */

import type { ViewModel } from "../core/view_model.ts";
import { Tour } from "../tour/tour.ts";
import { caption, type Language, LANGUAGES, todo } from "../words/words.ts";
import { button, h, hide, write } from "./dom.ts";

export class TourPanel {
  readonly element: HTMLElement;
  readonly tour: Tour;
  readonly #model: ViewModel;
  readonly #language: Language;
  readonly #progress = h("b");
  readonly #title = h("h2");
  readonly #text = h("p");
  readonly #todo = h("p", { class: "todo", aria: { live: "polite" } });
  readonly #dose: HTMLButtonElement;

  constructor(language: Language, model: ViewModel, end: () => void, tour = new Tour()) {
    const words = LANGUAGES[language];
    this.tour = tour;
    this.#model = model;
    this.#language = language;
    model.observers.push(tour);
    this.#dose = button(words.dose, () => {
      if (tour.dose !== undefined) model.dose(tour.dose);
    }, "primary");
    this.element = h(
      "section",
      { class: "tour", aria: { label: words.tour } },
      h("header", {}, this.#progress, this.#title, button(words.endTour, () => {
        this.close();
        end();
      })),
      this.#text,
      this.#todo,
      this.#dose,
    );
  }

  draw(): void {
    const { tour } = this;
    const model = this.#model;
    tour.observe({
      frame: model.frame,
      motion: model.motion,
      kind: model.brush.kind,
      rule: model.brush.rule,
      session: model.welcome?.sessionId ?? "",
      live: model.live,
    });
    const { title, text } = caption(this.#language, tour.stage);
    write(this.#progress, tour.progress);
    write(this.#title, title);
    write(this.#text, text);
    write(this.#todo, tour.todo ? todo(this.#language, tour.todo) : "");
    hide(this.#dose, tour.dose === undefined);
  }

  close(): void {
    this.#model.observers = this.#model.observers.filter((one) => one !== this.tour);
    this.element.remove();
  }
}

/** Tells people that a class wall shows their picture, asks for their name there, and brings what it tells them. */

import type { Classroom } from "../core/classroom.ts";
import type { ViewModel } from "../core/view_model.ts";
import type { Words } from "../words/words.ts";
import { button, h, hide, mark, toggle, write } from "./dom.ts";

export const NAME_MAX = 24; // characters, as in `Start.name`

/** Return as much of a name as the server takes. */
export function wallName(text: string): string {
  const printable = text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "").trim();
  return Array.from(printable).slice(0, NAME_MAX).join("");
}

/** What the note asks of the page. */
export interface Pupil {
  rename(name: string): void;
  begin(seed: bigint): void;
  decline(): void;
}

export class WallNote {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #classroom: Classroom;
  readonly #says = h("p", { class: "says" });
  readonly #begin: HTMLButtonElement;
  readonly #offer: HTMLElement;
  readonly #follow: { row: HTMLElement; set(on: boolean): void };

  /** `name` is the one that the wall has. */
  constructor(words: Words, classroom: Classroom, name: string, pupil: Pupil) {
    this.#words = words;
    this.#classroom = classroom;
    const input = h("input", {
      id: "wall-name", maxLength: NAME_MAX, autocomplete: "off", value: name, placeholder: words.wallName,
    });
    const form = h("form", {}, input, h("button", { type: "submit" }, words.wallNameUse));
    input.setAttribute("aria-label", words.wallName);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      input.value = wallName(input.value);
      input.blur();
      pupil.rename(input.value);
    });
    this.#follow = toggle(words.follow, (on) => {
      classroom.following = on;
    }, "follow");
    mark(this.#says, "role", "status");
    this.#begin = button(words.offerTake, () => {
      const seed = classroom.offered;
      if (seed !== undefined) pupil.begin(seed);
    }, "primary");
    this.#offer = h("div", { class: "offer", hidden: true }, this.#begin, button(words.offerLeave, () => {
      pupil.decline();
    }));
    this.element = h(
      "section", { class: "wall-note", hidden: true, aria: { label: words.wall } },
      h("p", {}, words.wallSees), form, this.#follow.row, this.#says, this.#offer,
    );
  }

  /** Show what the wall tells; `own` is the person's session, whatever is watched meanwhile. */
  draw(own: ViewModel): void {
    hide(this.element, !own.welcome?.wall || own.watching);
    if (this.element.hidden) return;
    const seed = this.#classroom.offered;
    this.#follow.set(this.#classroom.following);
    hide(this.#offer, seed === undefined);
    this.#begin.disabled = !own.live; // it would not be sent
    const parts = [this.#spotlight(own.welcome?.sessionId), seed === undefined ? "" : this.#words.offer(String(seed))];
    write(this.#says, parts.filter(Boolean).join(" "));
  }

  #spotlight(own: string | undefined): string {
    const words = this.#words;
    if (this.#classroom.shows(own)) return words.spotlightYours;
    if (!this.#classroom.following) return "";
    return this.#classroom.watched(own) ? words.spotlightSeen : words.spotlightNone;
  }
}

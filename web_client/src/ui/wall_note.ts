/** Tells people that a class wall shows their picture, and asks for the name that it has there. */

import type { ViewModel } from "../core/view_model.ts";
import type { Words } from "../words/words.ts";
import { h } from "./dom.ts";

export const NAME_MAX = 24; // characters, as in `Start.name`

/** Return as much of a name as the server takes. */
export function wallName(text: string): string {
  const printable = text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, "").trim();
  return Array.from(printable).slice(0, NAME_MAX).join("");
}

export class WallNote {
  readonly element: HTMLElement;

  /** `rename` is called with the name that the person has given. */
  constructor(words: Words, name: string, rename: (name: string) => void) {
    const input = h("input", {
      id: "wall-name", maxLength: NAME_MAX, autocomplete: "off", value: name, placeholder: words.wallName,
    });
    const form = h("form", {}, input, h("button", { type: "submit" }, words.wallNameUse));
    input.setAttribute("aria-label", words.wallName);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      input.value = wallName(input.value);
      input.blur();
      rename(input.value);
    });
    this.element = h("div", { class: "wall-note", hidden: true }, h("p", {}, words.wallSees), form);
  }

  draw(model: ViewModel): void {
    this.element.hidden = !model.welcome?.wall || model.watching;
  }
}

/** What the wall tells the class: a seed to start from, and which session is on the spotlight. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { WallRequestSchema } from "../diffusion_toy/v1/denoise_pb.ts";
import { type Lesson, SeedOfferSchema } from "../diffusion_toy/v1/denoise_pb.ts";
import { SEED_MAX } from "../contract/messages.ts";
import { drawSeed } from "../core/seed.ts";
import { button, h, mark, write } from "../ui/dom.ts";
import type { Words } from "../words/words.ts";

export type Change = NonNullable<MessageInitShape<typeof WallRequestSchema>["change"]>;

/** The controls at the top of the wall; `tell` sends a change to the server. */
export class Teacher {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #stands = h("p");
  readonly #back: HTMLButtonElement;
  readonly #off: HTMLButtonElement;

  constructor(words: Words, tell: (change: Change) => void) {
    this.#words = words;
    const seed = h("input", { id: "offer", type: "text", inputMode: "numeric", autocomplete: "off" });
    seed.pattern = "[0-9]{1,19}";
    seed.required = true;
    seed.value = String(drawSeed());
    const form = h(
      "form",
      {},
      h("label", { htmlFor: "offer" }, words.offerSeed),
      seed,
      h("button", { type: "submit" }, words.offerMake),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!/^[0-9]{1,19}$/.test(seed.value) || BigInt(seed.value) > SEED_MAX) return;
      tell({ case: "offer", value: create(SeedOfferSchema, { seed: BigInt(seed.value) }) });
    });
    this.#back = button(words.offerBack, () => {
      tell({ case: "offer", value: create(SeedOfferSchema) });
      seed.focus(); // the button goes
    });
    this.#back.hidden = true;
    this.#off = button(words.spotlightOff, () => {
      tell({ case: "spotlight", value: "" });
      seed.focus(); // the button goes
    });
    this.#off.hidden = true;
    mark(this.#stands, "role", "status");
    this.element = h("div", { class: "teacher" }, form, this.#stands, this.#back, this.#off);
  }

  /** Show what is on offer now, and whether the session on the spotlight has no tile to take it off with. */
  show({ offer, spotlight }: Lesson, gone: boolean): void {
    const stands = offer?.seed !== undefined;
    this.#back.hidden = !stands;
    this.#off.hidden = !spotlight;
    const says = [stands ? this.#words.offerStands(String(offer.seed)) : "", gone ? this.#words.spotlightGone : ""];
    write(this.#stands, says.filter(Boolean).join(" "));
  }
}

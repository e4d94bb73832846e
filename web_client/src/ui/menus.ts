/** Saving and sharing: a picture, its recipe, and links. */

import { pack, recipeLink, unpack, watchLink } from "../recipes/links.ts";
import { encode, pictureOf } from "../recipes/png.ts";
import type { NoRecipe } from "../recipes/command_log.ts";
import type { Recipe } from "../recipes/recipe.ts";
import { fromText, RecipeError, TEXT_MAX_BYTES, toText } from "../recipes/text.ts";
import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { button, h, type Icon, icon, mark } from "./dom.ts";

const LONG_LINK = 8000; // letters, more than some programs send on

/** Return a recipe's text, or why there is none. */
export function textOf(recipe: Recipe | NoRecipe): { text: string } | { reason: NoRecipe } {
  if (typeof recipe === "string") return { reason: recipe };
  try {
    return { text: toText(recipe) };
  } catch (error) {
    if (error instanceof RecipeError) return { reason: "too large" };
    throw error;
  }
}

/** What menus need of the page. */
export interface Host {
  say(words: string): void;
  replay(recipe: Recipe): void;
  token(): string; // the server's bearer token
}

export class Menus {
  readonly save: HTMLElement;
  readonly share: HTMLElement;
  readonly dialog: HTMLDialogElement;
  readonly #words: Words;
  readonly #model: ViewModel;
  readonly #appearance: Appearance;
  readonly #host: Host;
  readonly #link = h("input", { type: "text", readOnly: true });

  constructor(words: Words, model: ViewModel, appearance: Appearance, host: Host) {
    this.#words = words;
    this.#model = model;
    this.#appearance = appearance;
    this.#host = host;
    const file = h("input", { type: "file", accept: ".json,application/json", hidden: true });
    file.addEventListener("change", () => {
      void this.#open(file.files?.[0]);
      file.value = "";
    });
    const saves = [
      button(words.savePicture, () => void this.savePicture()),
      button(words.saveRecipe, () => {
        this.#saveRecipe();
      }),
      button(words.openRecipe, () => {
        file.click();
      }),
    ];
    this.save = menu("save", words.saveMenu, ...saves, file);
    this.share = menu(
      "share",
      words.shareMenu,
      button(words.shareRecipe, () => void this.#shareRecipe()),
      button(words.shareSession, () => {
        this.#shareSession();
      }),
    );
    this.#link.setAttribute("aria-label", words.linkToCopy);
    this.dialog = h(
      "dialog",
      {},
      h("p", {}, words.linkToCopy),
      this.#link,
      button(words.close, () => {
        this.dialog.close();
      }),
    );
  }

  /** Return the recipe's text; undefined, and the reason is said, where there is none. */
  #recipeText(): string | undefined {
    const written = textOf(this.#model.commandLog.recipe());
    if ("text" in written) return written.text;
    this.#host.say(this.#words.noRecipe[written.reason]);
    return undefined;
  }

  async savePicture(): Promise<void> {
    const { frame, shape, numTimeSteps, welcome } = this.#model;
    if (!frame) {
      this.#host.say(this.#words.noRecipe["no picture"]);
      return;
    }
    // a picture without a recipe is saved all the same
    const written = textOf(this.#model.commandLog.recipe());
    const text = "text" in written ? written.text : "";
    const without = "text" in written ? "" : this.#words.noRecipe[written.reason];
    const t = whole(frame.timeStep.max);
    const description = this.#words.description(t, numTimeSteps, welcome?.model?.name ?? "");
    const picture = pictureOf(frame, shape, this.#appearance.colorMap);
    this.#download(await encode(picture, description, text), `${this.#name(t)}.png`, without);
  }

  #saveRecipe(): void {
    const text = this.#recipeText();
    if (text === undefined) return;
    const t = whole(this.#model.frame?.timeStep.max ?? 0);
    this.#download(new Blob([text], { type: "application/json" }), `${this.#name(t)}.recipe.json`);
  }

  #name(t: string): string {
    return `diffusion-toy-seed${this.#model.frame?.seed ?? ""}-t${t}`;
  }

  #download(content: Blob, name: string, without = ""): void {
    const address = URL.createObjectURL(content);
    h("a", { href: address, download: name }).click();
    setTimeout(() => {
      URL.revokeObjectURL(address);
    }, 10_000);
    this.#host.say(this.#words.saved(name, without));
  }

  async #open(file: File | undefined): Promise<void> {
    if (!file) return;
    try {
      if (file.size > TEXT_MAX_BYTES) throw new RecipeError("it is larger than 1 MiB");
      this.#host.replay(fromText(await file.text()));
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    this.#host.say(this.#words.badRecipe(error instanceof Error ? error.message : String(error)));
  }

  /** Return the recipe of a packed link; undefined, and the reason is said, where it is none. */
  async read(packed: string): Promise<Recipe | undefined> {
    try {
      return fromText(await unpack(packed, TEXT_MAX_BYTES));
    } catch (error) {
      this.#refuse(error);
      return undefined;
    }
  }

  async #shareRecipe(): Promise<void> {
    const text = this.#recipeText();
    if (text === undefined) return;
    const link = recipeLink(`${location.origin}${location.pathname}`, await pack(text));
    this.#offer(link, link.length > LONG_LINK ? this.#words.linkLong : this.#words.linkCopied);
  }

  #shareSession(): void {
    const session = this.#model.watching ? this.#model.start.watch : this.#model.welcome?.sessionId;
    if (!session) return;
    const page = `${location.origin}${location.pathname}`;
    this.#offer(watchLink(page, session, this.#host.token()), this.#words.linkCopied);
  }

  /** Copy a link, or show it to be copied: pages without TLS may not use the clipboard. */
  #offer(link: string, said: string): void {
    const show = (): void => {
      this.#link.value = link;
      this.dialog.showModal();
      this.#link.select();
    };
    if (!window.isSecureContext) {
      show();
      return;
    }
    navigator.clipboard.writeText(link).then(() => {
      this.#host.say(said);
    }, show);
  }
}

/** Return a button that opens a few others. */
function menu(name: Icon, label: string, ...items: HTMLElement[]): HTMLElement {
  const summary = h("summary", { title: label }, icon(name));
  summary.setAttribute("aria-label", label);
  const details = h("details", { class: "menu" }, summary, h("div", { class: "items" }, ...items));
  details.addEventListener("click", (event) => {
    if (event.target instanceof HTMLButtonElement) details.open = false;
  });
  details.addEventListener("focusout", (event) => {
    if (!(event.relatedTarget instanceof Node && details.contains(event.relatedTarget))) details.open = false;
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    details.open = false;
    summary.focus();
  });
  mark(summary, "aria-haspopup", "true");
  return details;
}

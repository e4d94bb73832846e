/** What lies over the page where the screen is wide enough: branches, or a twin; one of them at a time. */

import type { Start } from "../diffusion_toy/v1/denoise_pb.ts";
import type { Notice } from "../core/notice.ts";
import type { ViewModel } from "../core/view_model.ts";
import { Branches, obstacle as branchesObstacle } from "../experiments/branches.ts";
import { type Link, obstacle } from "../experiments/extra_session.ts";
import { Twin } from "../experiments/twin.ts";
import { LANGUAGES } from "../words/words.ts";
import type { Appearance } from "./appearance.ts";
import { BranchesPanel } from "./branches_panel.ts";
import { TwinPanel } from "./twin_panel.ts";

const WIDE_ENOUGH = "(min-width: 40rem)"; // as in the style sheet

/** What a comparison needs of the page. */
export interface Surroundings {
  shown(): { model: ViewModel; connection: Link };
  beside(start: Start): Link; // opens a session beside the person's own
}

export class Comparisons {
  readonly #root: HTMLElement;
  readonly #appearance: Appearance;
  readonly #page: Surroundings;
  #panel: TwinPanel | BranchesPanel | undefined;

  constructor(root: HTMLElement, appearance: Appearance, page: Surroundings) {
    this.#root = root;
    this.#appearance = appearance;
    this.#page = page;
  }

  get open(): boolean {
    return this.#panel !== undefined;
  }

  openTwin(): void {
    this.#open(obstacle, TwinPanel, Twin);
  }

  openBranches(): void {
    this.#open(branchesObstacle, BranchesPanel, Branches);
  }

  #open<C>(
    inTheWay: (model: ViewModel) => Notice | undefined,
    Panel: new (...given: [(typeof LANGUAGES)["en"], ViewModel, Appearance, C]) => TwinPanel | BranchesPanel,
    Comparison: new (model: ViewModel, own: Link, open: (start: Start) => Link) => C,
  ): void {
    if (!matchMedia(WIDE_ENOUGH).matches || this.#panel) return;
    const { model, connection } = this.#page.shown();
    const reason = inTheWay(model);
    if (reason) {
      model.notice = reason;
      return;
    }
    const comparison = new Comparison(model, connection, (start) => this.#page.beside(start));
    this.#panel = new Panel(LANGUAGES[this.#appearance.language], model, this.#appearance, comparison);
    this.#root.append(this.#panel.dialog);
    this.#panel.dialog.showModal();
    this.#panel.focus();
  }

  /** End what is open; its sessions end with it. */
  close(): void {
    this.#panel?.close();
  }

  /** Draw what is open; return whether anything is. */
  draw(now: number): boolean {
    const panel = this.#panel;
    if (!panel) return false;
    panel.draw(now);
    if (panel.closed) {
      panel.dialog.close();
      panel.dialog.remove();
      this.#panel = undefined;
    }
    return true;
  }
}

/** Where the connection is: a small sign at the top, and a veil over the picture while there is none. */

import type { Connection } from "../link/connection.ts";
import type { ViewModel } from "../core/view_model.ts";
import type { Words } from "../words/words.ts";
import { button, h, hide, mark, write } from "./dom.ts";

const PATIENCE_S = 0.4; // a connection that is back so soon was never seen to be away

export class ConnectionPanel {
  readonly sign = h("span", { class: "sign" });
  readonly veil: HTMLElement;
  readonly #words: Words;
  readonly #title = h("b");
  readonly #sentence = h("p");
  readonly #again: HTMLButtonElement;
  readonly #form: HTMLFormElement;
  #awaySince: number | undefined;

  constructor(words: Words, connection: Connection) {
    this.#words = words;
    this.#again = button(words.tryAgain, () => {
      connection.tryAgain();
    });
    const token = h("input", { type: "password", autocomplete: "off", id: "token" });
    this.#form = h(
      "form",
      {},
      h("label", { htmlFor: "token" }, words.token),
      token,
      h("button", { type: "submit" }, words.tryAgain),
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      connection.token = token.value.trim();
      connection.tryAgain();
    });
    this.veil = h("div", { class: "veil", hidden: true }, this.#title, this.#sentence, this.#again, this.#form);
    mark(this.veil, "role", "status");
  }

  draw(model: ViewModel, { status, live }: Connection, now: number): void {
    const words = this.#words;
    const { phase, failure, attempt } = status;
    if (live) this.#awaySince = undefined;
    else this.#awaySince ??= now;
    mark(this.sign, "data-phase", phase);
    const { frame } = model;
    const watchers = frame?.watchers ? `, ${words.watchers(frame.watchers)}` : "";
    write(this.sign, `${words.phases[phase]}${live ? watchers : ""}`);
    if (frame) mark(this.sign, "title", words.figures(frame.sessions, Math.round(frame.serverMs)));
    const away = this.#awaySince !== undefined && now - this.#awaySince > PATIENCE_S;
    hide(this.veil, !away);
    if (!away) return;
    const trying = phase === "refused" || attempt < 2 ? "" : ` … ${words.attempt(attempt)}`;
    write(this.#title, `${words.phases[phase]}${trying}`);
    const details = failure?.trouble === "refused" ? `: ${failure.details}` : "";
    write(this.#sentence, failure ? `${words.troubles[failure.trouble]}${details}` : "");
    hide(this.#form, failure?.trouble !== "token");
    hide(this.#again, phase === "connecting" || !this.#form.hidden);
  }
}

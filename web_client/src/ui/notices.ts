/** Answers to what was done, and now and then what happens, for eyes and ears. */

import type { Notice } from "../core/notice.ts";
import type { ViewModel } from "../core/view_model.ts";
import { whole, type Words } from "../words/words.ts";
import { h, hide, mark, write } from "./dom.ts";

const SHOWN_S = 8;
const APART_S = 4; // between two milestones that are read out

function wordsOf(notice: Notice, words: Words): string {
  switch (notice.what) {
    case "replayed":
      return words.replayed(notice.steps);
    case "other weights":
      return words.otherWeights(notice.model);
    case "not exact":
      return words.notExact(notice.reason);
    case "branch taken":
      return words.branchTaken(String(notice.seed));
    case "comparison": {
      const why = notice.ending.endsWith("full") ? "" : `: ${words.troubles[notice.trouble]}`;
      return words.endings[notice.ending] + why;
    }
    case "rejected":
      return words.rejected(notice.message);
    case "said":
      return notice.words;
    case "mismatch": {
      const { mismatch } = notice;
      if ("message" in mismatch) return words.wentWrong(mismatch.message);
      if ("came" in mismatch) return words.cameElsewhere(mismatch.at, mismatch.came);
      return words.endedElsewhere(mismatch.step, mismatch.of);
    }
    default:
      return words.notices[notice.what];
  }
}

export class Notices {
  readonly element = h("p", { class: "notice", hidden: true });
  readonly aloud = h("p", { class: "aloud" }); // for screen readers alone
  readonly #words: Words;
  #shown: Notice | undefined;
  #since = 0;
  #spoken = -Infinity;
  #settled = false;
  #half = false;

  constructor(words: Words) {
    this.#words = words;
    mark(this.element, "role", "status");
    mark(this.aloud, "role", "status");
  }

  draw(model: ViewModel, now: number): void {
    if (model.notice !== this.#shown) {
      this.#shown = model.notice;
      this.#since = now;
      write(this.element, model.notice ? wordsOf(model.notice, this.#words) : "");
    }
    const kept = model.notice?.what === "watching" && model.watching;
    hide(this.element, !this.#shown || (!kept && now - this.#since > SHOWN_S));
    this.#speak(model, now);
  }

  /** Say when half of the noise is gone, and when the picture is clean: no more often than one can listen. */
  #speak(model: ViewModel, now: number): void {
    const { frame, numTimeSteps } = model;
    if (!frame) return;
    const t = frame.timeStep.max;
    const half = t <= numTimeSteps / 2;
    const settled = t === 0;
    const news = settled && !this.#settled ? "settled" : half && !this.#half ? "half" : undefined;
    this.#half = half;
    this.#settled = settled;
    if (!news || now - this.#spoken < APART_S) return;
    this.#spoken = now;
    write(this.aloud, news === "settled" ? this.#words.settledAloud : this.#words.halfAloud(whole(t)));
  }
}

/** What was done in the running session, as it is sent and as it is applied; the recipe is made of it. */

import type { Start, Welcome } from "../diffusion_toy/v1/denoise_pb.ts";
import { type Command, type Frame, Motion, originWithin, type Settings, settingsOf } from "../contract/messages.ts";
import { type Logged, Reconstruction, type RunStart } from "./reconstruction.ts";
import type { Recipe } from "./recipe.ts";

const KEPT_MAX = 20_000; // commands of a run; a recipe of more would be too large anyway
const KEPT_LEFT = 2_000; // of the newest, after a clearing out

/** Why there is no recipe. */
export type NoRecipe = "too many" | "too large" | "elsewhere" | "watched" | "no picture";

/** Notes of one session, of as many runs as it has restarts. */
export class CommandLog {
  #start: Start | undefined;
  #sessionId = "";
  #model = { name: "", fingerprint: "" };
  #runStart: RunStart | undefined;
  #reason: NoRecipe = "no picture";
  #logged = new Map<number, Logged>(); // by sequence, rising
  #waiting = new Map<number, Logged>(); // those that have not been applied
  #step: number | undefined; // of the newest frame

  /** Take note of what the next stream begins with, unless it goes on with a session. */
  askedFor(start: Start): void {
    this.#start = start;
  }

  welcomed(welcome: Welcome): void {
    if (welcome.watching) {
      this.#runStart = undefined;
      this.#reason = "watched";
    } else if (!welcome.resumed || welcome.sessionId !== this.#sessionId) {
      const known = !welcome.resumed;
      this.#sessionId = welcome.sessionId;
      this.#model = { name: welcome.model?.name ?? "", fingerprint: welcome.model?.fingerprint ?? "" };
      this.#reason = "no picture";
      this.#runStart = {
        seed: welcome.seed,
        origin: this.#start?.origin,
        settings: settingsOf(welcome.settings),
        motion: this.#start?.motion || Motion.REVERSE,
        unknown: known ? "" : "elsewhere",
      };
      this.#logged.clear();
      this.#waiting.clear();
      this.#step = undefined;
    } else {
      this.#goBack(Number(welcome.appliedSequence));
    }
  }

  /** Go back to where these commands had been applied; the others are sent again. */
  #goBack(appliedSequence: number): void {
    for (const logged of this.#logged.values()) {
      if (logged.sequence <= appliedSequence) continue;
      Object.assign(logged, { step: undefined, told: false, rejected: false });
      this.#waiting.set(logged.sequence, logged);
    }
    this.#waiting = new Map([...this.#waiting].sort(([one], [other]) => one - other));
  }

  /** Take note of a command that has been sent with this number. */
  sent(command: Command, sequence: number): void {
    if (!this.#runStart) return;
    const logged: Logged = { sequence, command, step: undefined, told: false, rejected: false };
    this.#logged.set(sequence, logged);
    this.#waiting.set(sequence, logged);
    if (this.#logged.size > KEPT_MAX) this.#clearOut(this.#runStart);
  }

  received(frame: Frame): void {
    this.#step = frame.step;
    for (const applied of frame.applied) {
      const logged = this.#logged.get(applied.sequence);
      if (!logged) continue;
      logged.step = applied.step;
      logged.told = true;
      this.#waiting.delete(applied.sequence);
    }
    for (const [sequence, logged] of this.#waiting) {
      if (sequence > frame.appliedSequence) break;
      this.#waiting.delete(sequence);
      if (!logged.rejected) logged.step = frame.step;
    }
  }

  rejected(sequence: number): void {
    const logged = this.#logged.get(sequence);
    if (logged) Object.assign(logged, { step: undefined, told: false, rejected: true });
  }

  /** Return how the picture of the newest frame came to be, or why that is not known. */
  recipe(): Recipe | NoRecipe {
    if (!this.#runStart || this.#step === undefined) return this.#reason;
    const rebuilt = new Reconstruction(this.#runStart);
    rebuilt.read(applied(this.#logged.values()), this.#step);
    const { seed, unknown, settings, origin } = rebuilt.runStart;
    if (unknown) return unknown;
    const rest: Partial<Settings> = { ...settings };
    delete rest.stepsPerSecond;
    return {
      model: this.#model.name,
      fingerprint: this.#model.fingerprint,
      seed,
      origin: origin && originWithin(origin, settings.numTimeSteps),
      settings: rest,
      entries: rebuilt.entries,
      steps: rebuilt.step,
      inexact: rebuilt.doubt,
    };
  }

  /** Forget what no recipe needs any more: what was before the last restart but for the newest. */
  #clearOut(runStart: RunStart): void {
    const old = applied([...this.#logged.values()].slice(0, -KEPT_LEFT));
    const rebuilt = new Reconstruction(runStart);
    let last = old.findLastIndex((logged) => logged.command.case === "restart");
    if (last < 0) {
      last = old.length - 1;
      rebuilt.read(old, rebuilt.step);
      const unknown = runStart.unknown === "elsewhere" ? runStart.unknown : "too many";
      this.#runStart = { ...rebuilt.runStart, settings: rebuilt.settings, unknown };
    } else {
      rebuilt.read(old.slice(0, last + 1), rebuilt.step);
      this.#runStart = rebuilt.runStart;
    }
    for (const logged of old.slice(0, last + 1)) this.#logged.delete(logged.sequence);
  }
}

function applied(commands: Iterable<Logged>): Logged[] {
  return [...commands].filter((logged) => logged.step !== undefined);
}


/**
 * The tour: four things to do and to look at, each of which is over when it has been done.
 *
 * The rules are those of the viewer's `experiments/tour.py`, the words are in `tour.json` beside it.
 */

import { type Command, DEFAULTS, type Frame, InjectionRule, Motion, NoiseKind } from "../contract/messages.ts";

const NOISY_SHARE = 0.25; // of T: a picture that is noisier than this has yet to form
const FELT_SHARE = 0.1; // of T: less noise than this is hardly seen to heal
const MISTOLD_LEVEL = 0.03; // actual above told, from which the difference can be seen
const FULL_SHARE = 0.9; // of T: there is no room for more noise than told
const DOSE_SHARE = 0.5; // of T: the tour's single dose …
const DOSE_LEAST_SHARE = 0.25; // … and what counts as one
const SHAPED_KINDS: readonly NoiseKind[] = [NoiseKind.SMOOTH, NoiseKind.CONSTANT];

export const STAGES = ["form", "heal", "mistell", "shape", "over"] as const;
export type Stage = (typeof STAGES)[number];
export const NUM_STAGES = 4;

export type Todo =
  | "play" | "run_back" | "begin" | "see" | "touch" | "more" | "too_much" | "gaussian" | "truth" | "naive"
  | "shaped" | "fresh" | "wait" | "dose" | "end";

/** What the page shows at a moment. */
export interface Situation {
  frame: Frame | undefined;
  motion: Motion; // what the session does, with what is on its way
  kind: NoiseKind;
  rule: InjectionRule;
  session: string; // its name; with another one, sequence numbers begin again
  live: boolean;
}

export class Tour {
  stage: Stage = "form";
  #situation: Situation = {
    frame: undefined,
    motion: Motion.REVERSE,
    kind: NoiseKind.GAUSSIAN,
    rule: InjectionRule.TRUTH,
    session: "",
    live: true,
  };
  #since = 0; // frames in which this command has not been applied yet are of the past
  #noisy = false; // a picture that forms has been seen
  #last: number | undefined; // the newest command that did what the stage is about
  #felt = false; // its noise has been in a picture
  #spoilt = false; // with noise of which the network was told wrongly

  // --- what happens ---

  /** Take note of a command that has been sent with this number. */
  sent(command: Command, sequence: number): void {
    if (command.case === "inject") {
      const { amount, kind, rule, place } = command.value;
      const inject = { everywhere: place.case === "wholeImage", amount, kind, rule };
      this.#spoilt ||= rule !== InjectionRule.TRUTH;
      if (this.#counts(inject)) this.#last = sequence;
      else if (this.#disturbs(rule)) this.#forget(sequence);
    } else if (command.case === "restart" || command.case === "back" || command.case === "jump") {
      // what is seen from then on comes of something else
      if (command.case === "restart") this.#spoilt = false;
      this.#forget(sequence);
    }
  }

  /** Take in the moment; the stage may change. */
  observe(situation: Situation): void {
    if (situation.session !== this.#situation.session) {
      this.#forget(0);
      this.#spoilt = false;
    }
    this.#situation = situation;
    const { frame } = situation;
    if (!frame || !situation.live || frame.appliedSequence < this.#since) return;
    let done: boolean;
    if (this.stage === "form") {
      this.#noisy ||= frame.timeStep.max >= NOISY_SHARE * frame.settings.numTimeSteps;
      done = this.#noisy;
    } else {
      const applied = this.#last !== undefined && frame.appliedSequence >= this.#last;
      this.#felt ||= applied && this.#isFelt(frame);
      done = applied && this.#felt;
    }
    if (done && frame.timeStep.max === 0 && this.stage !== "over") {
      this.stage = STAGES[STAGES.indexOf(this.stage) + 1]!;
      this.#forget(this.#since);
    }
  }

  /** Begin the stage again, with the frames in which this command has been applied. */
  #forget(since: number): void {
    this.#since = since;
    this.#noisy = false;
    this.#last = undefined;
    this.#felt = false;
  }

  /** Whether an injection does what the stage is about. */
  #counts(inject: { everywhere: boolean; amount: number; kind: NoiseKind; rule: InjectionRule }): boolean {
    const gaussian = inject.kind === NoiseKind.GAUSSIAN;
    const truth = inject.rule === InjectionRule.TRUTH;
    switch (this.stage) {
      case "heal":
        return gaussian && truth;
      case "mistell":
        return gaussian && inject.rule === InjectionRule.NAIVE;
      case "shape": {
        const large = inject.everywhere && inject.amount >= DOSE_LEAST_SHARE * this.#numTimeSteps;
        return large && truth && SHAPED_KINDS.includes(inject.kind);
      }
      default:
        return false;
    }
  }

  /** Whether an injection that does not count spoils what was done before. */
  #disturbs(rule: InjectionRule): boolean {
    switch (this.stage) {
      case "heal":
        return true;
      case "mistell":
        return rule === InjectionRule.LIE;
      case "shape":
        return rule !== InjectionRule.TRUTH;
      default:
        return false;
    }
  }

  #isFelt(frame: Frame): boolean {
    if (this.stage === "mistell") return frame.actual.max - frame.nominal.max >= MISTOLD_LEVEL;
    return frame.timeStep.max >= FELT_SHARE * frame.settings.numTimeSteps;
  }

  get #numTimeSteps(): number {
    return this.#situation.frame?.settings.numTimeSteps ?? DEFAULTS.numTimeSteps;
  }

  // --- what is said ---

  /** How far the tour is, for instance "2/4". */
  get progress(): string {
    return `${Math.min(STAGES.indexOf(this.stage) + 1, NUM_STAGES)}/${NUM_STAGES}`;
  }

  /** Return what to do next; undefined while there is nothing to do but to wait for the connection. */
  get todo(): Todo | undefined {
    const { frame, live, kind, rule } = this.#situation;
    if (!live || !frame) return undefined;
    if (this.stage === "over") return "end";
    if (this.stage === "form") return this.#untilClean("see") ?? "begin";
    if (this.#felt) return this.#untilClean("see") ?? "see";
    if (this.stage === "shape") return this.#todoOfDose();
    if (kind !== NoiseKind.GAUSSIAN) return "gaussian";
    if (this.stage === "heal" && rule !== InjectionRule.TRUTH) return "truth";
    if (this.stage === "mistell" && rule !== InjectionRule.NAIVE) return "naive";
    const full = frame.timeStep.max >= FULL_SHARE * frame.settings.numTimeSteps;
    if (this.stage === "mistell" && full) return "too_much";
    return this.#last === undefined ? "touch" : "more";
  }

  #todoOfDose(): Todo {
    const { rule, kind } = this.#situation;
    if (this.#spoilt) return "fresh";
    if (rule !== InjectionRule.TRUTH) return "truth";
    if (!SHAPED_KINDS.includes(kind)) return "shaped";
    return this.#untilClean("wait") ?? "dose";
  }

  /** Return what is needed for t to become 0: `words` if nothing, undefined if it is 0 already. */
  #untilClean(words: Todo): Todo | undefined {
    const { motion, frame } = this.#situation;
    if (motion === Motion.FORWARD) return "run_back";
    if (frame?.timeStep.max === 0) return undefined;
    return motion === Motion.PAUSED ? "play" : words;
  }

  /** Return how many time steps of noise the tour's single dose adds now, undefined where there is none. */
  get dose(): number | undefined {
    const { frame, live, rule } = this.#situation;
    if (!frame || !live || frame.timeStep.max > 0) return undefined;
    const ready =
      this.stage === "shape" ? this.#todoOfDose() === "dose" : this.stage === "over" && rule === InjectionRule.TRUTH;
    return ready ? DOSE_SHARE * frame.settings.numTimeSteps : undefined;
  }
}

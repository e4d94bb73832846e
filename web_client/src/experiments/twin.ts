/**
 * A twin: a second session with the same seed and the same commands, which differs in one thing
 * (`experiments/twin.py`).
 *
 * Each command goes to both sessions and is scheduled for the same step, some steps ahead of both. So nothing else
 * differs, and pictures of the same step can be compared.
 */

import { create } from "@bufbuild/protobuf";
import { type Origin, OriginSchema } from "../diffusion_toy/v1/denoise_pb.ts";
import * as m from "../contract/messages.ts";
import { type Brush, Painting } from "../core/brush.ts";
import type { Notice } from "../core/notice.ts";
import { drawSeed } from "../core/seed.ts";
import type { Point } from "../core/strokes.ts";
import type { ViewModel } from "../core/view_model.ts";
import {
  dabOf, type Difference, firstTwin, meaningOf, nextTwin, rootMeanSquare, type Treatment,
} from "./difference.ts";
import { ending, ExtraSession, type Link, type OpenLink } from "./extra_session.ts";

const LEAD_S = 0.1; // how far ahead of both sessions a command is scheduled, beside the round trip

export type Pair = readonly [own: m.Frame, twin: m.Frame];

/** One of the two sessions: what it has shown, and which of the shared commands it has applied. */
export class Side {
  readonly link: Link;
  frames: readonly m.Frame[] = [];
  sequences: number[] = []; // of the commands that both sessions get, in their order
  steps = new Map<number, number>(); // by sequence: the step at which it was applied, until that has been compared

  constructor(link: Link) {
    this.link = link;
  }

  /** Record the frames and the applied commands that have come in. */
  observe(): void {
    const before = this.newest;
    this.frames = [...this.link.recent];
    for (const { applied } of this.frames.slice(this.frames.lastIndexOf(before!) + 1)) {
      for (const { sequence, step } of applied) this.steps.set(sequence, step);
    }
  }

  get newest(): m.Frame | undefined {
    return this.frames.at(-1);
  }

  /** Whether the newest frame shows all commands that were sent. */
  get caughtUp(): boolean {
    return this.newest !== undefined && this.#count(this.newest) === this.sequences.length;
  }

  /** Return commands applied and steps taken, which are the same for frames of the same moment. */
  moment(frame: m.Frame): string {
    return `${this.#count(frame)} ${frame.step}`;
  }

  #count({ appliedSequence }: m.Frame): number {
    return this.sequences.findLastIndex((sequence) => sequence <= appliedSequence) + 1;
  }
}

/** Return the frames of the newest moment that both sessions have shown, undefined if there is none. */
export function newestPair(own: Side, twin: Side): Pair | undefined {
  const shown = new Map(twin.frames.map((frame) => [twin.moment(frame), frame]));
  const found = own.frames.findLast((frame) => shown.has(own.moment(frame)));
  return found && [found, shown.get(own.moment(found))!];
}

/** Return the last step that the session is certain to reach without any more noise. */
export function lastStep(frame: m.Frame): number {
  const left = frame.idle ? 0 : Math.floor(frame.timeStep.max / frame.settings.stride) - 1;
  return frame.step + Math.max(left, 0);
}

/** Compares the person's session with a twin until it is closed. */
export class Twin {
  what: Difference = "kind"; // the one thing that differs
  readonly treatment: Treatment; // of the person's session
  other: Treatment; // of its twin
  pair: Pair | undefined; // the newest frames of the same moment, which are to be shown
  playing = true; // both run, or will as soon as they can
  diverged = false; // a command did not reach both in time, so more than `what` differs
  closed = false;
  pointer: Point | undefined;
  healing = false; // nobody denoises here; what would is no stroke either
  readonly #model: ViewModel;
  readonly #extra: ExtraSession;
  readonly #own: Side;
  readonly #twin: Side;
  readonly #painting: Painting;
  #seed: bigint;
  #origin: Origin;
  #started = false;
  #touched = false;
  #moves: m.Command[] = [];
  #restarting = false; // a restart of both is on its way
  #pausing = false; // a command that ends in a pause is on its way or being carried out
  #scheduled: [own: number, twin: number][] = []; // sequences of commands for the same step of both
  #ahead = 0; // the step last scheduled for …
  #atAhead = 0; // … and its number of injections
  #now = 0;

  constructor(model: ViewModel, own: Link, openLink: OpenLink) {
    this.#model = model;
    const { settings, brush, welcome } = model;
    this.treatment = { kind: brush.kind, rule: brush.rule, sampler: settings.sampler, label: settings.label };
    this.other = firstTwin(this.treatment, this.what, this.classes);
    this.#seed = model.frame?.seed ?? drawSeed();
    this.#origin = m.originWithin(model.start.origin ?? create(OriginSchema), settings.numTimeSteps);
    this.#painting = new Painting(brush);
    const start = m.start({
      model: welcome?.model?.name ?? "",
      origin: this.#origin,
      seed: this.#seed,
      settings: m.settingsMessage(settings),
      motion: m.Motion.PAUSED, // until both begin
    });
    this.#extra = new ExtraSession(openLink(start));
    this.#own = new Side(own);
    this.#twin = new Side(this.#extra.link);
  }

  get classes(): number {
    return this.#model.labelNames.length;
  }

  get brush(): Brush {
    return this.#model.brush;
  }

  // --- from the person ---

  /** Choose what differs. */
  choose(what: Difference): void {
    if (what === this.what) return;
    this.what = what;
    this.treat(firstTwin(this.treatment, what, this.classes));
  }

  /** Give the twin the next value of `what`, or the first value if another thing has differed so far. */
  change(what: Difference): void {
    if (what === this.what) this.treat(nextTwin(this.treatment, this.other, what, this.classes));
    else this.choose(what);
  }

  /** Let the twin draw this class, which is then what differs. */
  chooseLabel(label: number): void {
    if (label >= this.classes || label === this.treatment.label) return;
    this.what = "label";
    this.treat({ ...this.treatment, label });
  }

  /** Treat the twin like this; both begin again. */
  treat(other: Treatment): void {
    this.other = other;
    this.restart();
  }

  restart(): void {
    if (this.#started) this.#startBoth();
  }

  newSeed(): void {
    this.#seed = drawSeed();
    this.#origin = create(OriginSchema);
    this.restart();
  }

  /** Pause both sessions, or let both run. */
  togglePlay(): void {
    this.#moves.push(this.playing ? m.pause() : m.play(m.Motion.REVERSE));
    this.playing = !this.playing;
  }

  /** Let both sessions take a single step and pause. */
  step(): void {
    this.#moves.push(m.step(m.Motion.REVERSE));
    this.playing = false;
  }

  pointerAt(point: Point | undefined): void {
    this.pointer = point;
    if (this.healing || !point || !this.#painting.paints) this.#painting.lift();
    else if (this.#started) this.#painting.move(point);
  }

  pointerHeld(held: boolean): void {
    this.#painting.held = held;
    if (this.brush.mode === "brush while pressed") this.pointerAt(this.pointer);
  }

  heal(held: boolean): void {
    this.healing = held;
    this.#painting.lift();
  }

  healOnce(): void {
    this.healing = false;
  }

  dab(point: Point): void {
    if (this.#started) this.#painting.add(this.brush.dab(point));
  }

  /** End the twin's session; the person's goes on as it is. */
  close(): void {
    if (!this.closed) this.#end(this.#model.notice);
  }

  #end(notice: Notice | undefined): void {
    this.closed = true;
    this.#model.notice = notice;
    this.#extra.link.leave();
  }

  // --- once for each picture of the screen ---

  /** Take in what both have shown and send what is waiting; `now` is in seconds. */
  update(now: number): void {
    if (this.closed) return;
    this.#now = now;
    const extra = this.#extra;
    extra.update();
    if (!this.#model.live) {
      this.#end(ending("twin", this.#own.link, true));
    } else if (extra.link.failed) {
      this.#end(ending("twin", extra.link, extra.joined));
    } else {
      this.#own.observe();
      this.#twin.observe();
      this.#check();
      if (!this.#started && extra.frame) this.#startBoth();
      this.#sendWaiting();
      if (this.#started) this.pair = newestPair(this.#own, this.#twin) ?? this.pair;
    }
  }

  /** Restart both sessions from the same seed and origin. */
  #startBoth(): void {
    this.#started = this.playing = this.#restarting = true;
    this.diverged = this.#touched = this.#pausing = false;
    this.#moves = [];
    this.#painting.drop();
    this.#scheduled = [];
    this.#ahead = this.#atAhead = 0;
    const { sampler, label } = this.other;
    this.#extra.link.send(m.configure({ sampler, label }));
    const again = m.restart(this.#seed, this.#origin);
    if (this.#toBoth(again, again, undefined)) this.#model.restarted(this.#seed, this.#origin);
  }

  /** Check that commands scheduled for the same step were applied at the same step. */
  #check(): void {
    const [own, twin] = [this.#own, this.#twin];
    while (this.#scheduled.length && own.newest && twin.newest) {
      const [first, second] = this.#scheduled[0]!;
      if (own.newest.appliedSequence < first || twin.newest.appliedSequence < second) break;
      this.#scheduled.shift();
      this.diverged ||= own.steps.get(first) !== twin.steps.get(second);
      own.steps.delete(first);
      twin.steps.delete(second);
    }
  }

  #sendWaiting(): void {
    if (!this.waiting) return;
    const [own, twin] = [this.#own.newest, this.#twin.newest];
    if (!own || !twin) return;
    const caughtUp = this.#own.caughtUp && this.#twin.caughtUp;
    const atRest = own.idle && twin.idle;
    if ((this.#restarting && !caughtUp) || (this.#pausing && !(caughtUp && atRest))) return;
    this.#restarting = this.#pausing = false;
    if (own.idle || twin.idle) {
      if (atRest && caughtUp) this.#sendAtRest(own.step === twin.step ? own.step : undefined);
      return;
    }
    const ahead = Math.max(Math.max(own.step, twin.step) + this.#leadSteps, this.#ahead);
    if (ahead <= Math.min(lastStep(own), lastStep(twin))) this.#sendAhead(ahead);
  }

  /** Return how many steps ahead a command must be scheduled to arrive in time. */
  get #leadSteps(): number {
    const frames = [...this.#own.frames, ...this.#twin.frames];
    const roundTripS = Math.max(this.#own.link.roundTripS, this.#twin.link.roundTripS);
    const leastS = Math.min(...frames.map((frame) => frame.serverMs)) / 1000; // of a tick; others may be as fast
    const rateHz = Math.min(frames[0]!.settings.stepsPerSecond, 1 / Math.max(leastS, 1e-3));
    return Math.ceil((LEAD_S + roundTripS) * rateHz) + 1;
  }

  /**
   * Return how many injections may be scheduled for one step.
   *
   * The server applies so many of one session in a tick. One place is left for the move that may follow them: a move
   * that had to wait for the next tick would come after its step.
   */
  get #injectionsPerStep(): number {
    return Math.max((this.#model.welcome?.limits?.injectionsPerTick ?? 1) - 1, 1);
  }

  /** Send to two idle sessions, which are paused meanwhile if the first command would let them run. */
  #sendAtRest(step: number | undefined): void {
    const held = this.#painting.waiting && !this.#moves.length && this.playing;
    if (held) this.#toBoth(m.pause(), m.pause(), step);
    if (this.#moves.length) this.#sendMove(step);
    else this.#sendDabs(this.#injectionsPerStep, step);
    if (held) this.#toBoth(m.play(m.Motion.REVERSE), m.play(m.Motion.REVERSE), step);
  }

  /** Send to two running sessions, scheduled for this step. */
  #sendAhead(step: number): void {
    if (step > this.#ahead) [this.#ahead, this.#atAhead] = [step, 0];
    this.#atAhead += this.#sendDabs(this.#injectionsPerStep - this.#atAhead, step);
    if (this.#moves.length) this.#sendMove(step);
  }

  #sendMove(step: number | undefined): void {
    const move = this.#moves.shift()!;
    this.#pausing = move.case !== "play";
    this.#toBoth(move, move, step);
  }

  /** Send at most so many of the dabs that wait; return how many were sent. */
  #sendDabs(most: number, step: number | undefined): number {
    const now = this.#painting.take(Math.min(most, this.#model.dabsPerFrame));
    for (const dab of now) this.#touched = this.#toBoth(dabOf(this.treatment, dab), dabOf(this.other, dab), step);
    return now.length;
  }

  /** Send a command and its twin's version, for this step if given; return whether both were sent. */
  #toBoth(command: m.Command, twins: m.Command, step: number | undefined): boolean {
    if (this.closed) return false;
    const first = this.#own.link.send(command, step);
    const second = this.#twin.link.send(twins, step);
    if (first !== undefined) this.#model.sent(command, first, this.#now);
    if (first === undefined || second === undefined) {
      this.#end({ what: "comparison", ending: "twin gone", trouble: "broken" });
      return false;
    }
    this.#own.sequences.push(first);
    this.#twin.sequences.push(second);
    if (command.case !== "restart") this.#scheduled.push([first, second]);
    return true;
  }

  /** Whether strokes or moves wait to be sent. */
  get waiting(): boolean {
    return this.#painting.waiting || this.#moves.length > 0;
  }

  // --- what there is to say ---

  /** Return the root mean square difference of the two guesses, undefined before there are any. */
  get difference(): number | undefined {
    return this.pair && rootMeanSquare(this.pair[0].x0Hat, this.pair[1].x0Hat);
  }

  /** Return what there is to see. */
  get finding(): "joins" | "diverged" | ReturnType<typeof meaningOf> {
    if (this.difference === undefined) return "joins";
    return this.diverged ? "diverged" : meaningOf(this.difference, this.what, this.#touched);
  }
}

/**
 * A recipe on its way back to the picture (`recipes/replay.py`).
 *
 * A replay sends every step as a command of its own, in order, to a session that is paused. So it is exact however
 * late anything arrives.
 */

import type { Limits, Rejected } from "../diffusion_toy/v1/denoise_pb.ts";
import { type Command, configure, type Frame, jumpToStep, Motion, restart } from "../contract/messages.ts";
import { commandsOf, isOfSpeed, type Recipe } from "./recipe.ts";

const AHEAD = 24; // commands on their way: enough for 60 steps a second over 0.4 s, few enough to be stopped soon
const SHARE = 0.8; // of the server's limit of commands a second
const BURST_S = 0.25;

interface Planned {
  at: number | undefined; // the step before which it is to be applied
  command: Command;
}

/** Allows so many things a second in the long run. */
class TokenBucket {
  #tokens: number;
  #last: number | undefined;
  readonly #burst: number;

  constructor(burst: number) {
    this.#tokens = this.#burst = burst;
  }

  ready(now: number, rate: number): boolean {
    const passed = now - (this.#last ?? now);
    this.#last = now;
    this.#tokens = Math.min(this.#tokens + passed * rate, this.#burst);
    return this.#tokens >= 1;
  }

  spend(): void {
    this.#tokens -= 1;
  }
}

export type Mismatch = { at: number; came: number } | { step: number; of: number } | { message: string };

export class Replay {
  readonly recipe: Recipe;
  held = false; // it waits, as in a pause
  direction: Motion = Motion.REVERSE; // of the newest step
  done = false;
  failure: Mismatch | undefined; // why there will be another picture
  #sent = new Map<number, Planned>(); // what has not been applied, by sequence
  #limit = new TokenBucket(500 * BURST_S);
  #speed = new TokenBucket(1);
  #commands: Iterator<Planned>;
  #next: Planned | undefined;

  /** `over`: the session is there and may be running; its run is to be left. */
  constructor(recipe: Recipe, over: boolean) {
    this.recipe = recipe;
    this.#commands = this.#all(over);
    this.#advance();
  }

  *#all(over: boolean): Generator<Planned> {
    if (over) {
      yield { at: undefined, command: configure(this.recipe.settings) };
      yield { at: undefined, command: restart(this.recipe.seed, this.recipe.origin) };
      yield { at: undefined, command: jumpToStep(0) }; // pauses there, should it have begun to run
    }
    yield* commandsOf(this.recipe);
  }

  #advance(): void {
    const next = this.#commands.next();
    this.#next = next.done ? undefined : next.value;
  }

  /** Begin again: there is a new session, paused at the recipe's start. */
  beginAgain(): void {
    this.#commands = this.#all(false);
    this.#sent.clear();
    this.#advance();
  }

  /** Return what is to be sent at `now` (seconds), the same until it has been sent; undefined if nothing. */
  next(now: number, limits: Limits, stepsPerSecond: number): Command | undefined {
    if (!this.#next || this.held || this.failure || this.#sent.size >= AHEAD) return undefined;
    const { command } = this.#next;
    const slow = command.case === "step" && stepsPerSecond < limits.tickRateHz;
    if (slow && !this.#speed.ready(now, stepsPerSecond)) return undefined;
    return this.#limit.ready(now, limits.commandsPerSecond * SHARE) ? command : undefined;
  }

  /** Take note of a command that was sent with this number; return whether it was one of the replay's. */
  sent(command: Command, sequence: number): boolean {
    if (command !== this.#next?.command) return false;
    this.#sent.set(sequence, this.#next);
    this.#advance();
    this.#limit.spend();
    if (command.case === "step") {
      this.#speed.spend();
      this.direction = command.value.direction;
    }
    return true;
  }

  /**
   * Take what the person wants meanwhile; return what is to be sent, undefined where that ends the replay.
   *
   * A pause holds the replay, playing lets it go on, and the speed is free.
   */
  steer(commands: readonly Command[]): Command[] | undefined {
    const others: Command[] = [];
    for (const command of commands) {
      if (command.case === "pause") this.held = true;
      else if (command.case === "play" && this.held) this.held = false;
      else others.push(command);
    }
    return others.every(isOfSpeed) ? others : undefined;
  }

  /** Take in where the session is, and which commands of the replay have been applied. */
  receive(frame: Frame): void {
    for (const applied of frame.applied) {
      const at = this.#sent.get(applied.sequence)?.at;
      if (at !== undefined && at !== applied.step) this.failure ??= { at, came: applied.step };
    }
    for (const sequence of this.#sent.keys()) {
      if (sequence <= frame.appliedSequence) this.#sent.delete(sequence);
    }
    if (this.#next || this.#sent.size || !frame.idle) return;
    this.done = frame.step === this.recipe.steps;
    if (!this.done) this.failure ??= { step: frame.step, of: this.recipe.steps };
  }

  /** Take note that a command was rejected, one of the replay's or another. */
  rejected(rejected: Rejected): void {
    if (this.#sent.has(Number(rejected.sequence))) this.failure ??= { message: rejected.message };
  }
}

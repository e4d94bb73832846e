/** What the session does once the commands on their way have been applied (`core/expected_state.py`). */

import { type Command, DEFAULTS, type Frame, Motion, type Settings } from "../contract/messages.ts";

/** Shown in place of what the newest frame says, which is older by a round trip. */
export class ExpectedState {
  settings: Settings = { ...DEFAULTS };
  motion: Motion = Motion.REVERSE;
  direction: Motion = Motion.REVERSE; // where `play` goes
  lastSequence = 0; // of the last command; until it has been applied, frames tell of the past
  appliedSequence = 0;
  #stepping = false; // the last movement was a single step, which ends in a pause

  /** Return the same, to go back to. */
  copy(): ExpectedState {
    const copy = new ExpectedState();
    copy.goBackTo(this);
    return copy;
  }

  /** Expect what was expected earlier: the commands since then have not been sent. */
  goBackTo(earlier: ExpectedState): void {
    [this.settings, this.motion] = [earlier.settings, earlier.motion];
    [this.direction, this.#stepping] = [earlier.direction, earlier.#stepping];
  }

  /** Expect a session that begins, or begins again, and moves like this. */
  begin(motion: Motion): void {
    this.motion = this.direction = motion;
    this.#stepping = false;
  }

  /** Expect what a command that moves the session does; it is on its way. */
  moved(command: Command): void {
    this.#stepping = command.case === "step";
    if (command.case === "play") this.motion = this.direction = command.value.direction;
    else this.motion = Motion.PAUSED;
  }

  /** Expect the pause at the end of a replay; `play` would go on in this direction. */
  pausedByReplay(direction: Motion): void {
    this.motion = Motion.PAUSED;
    this.#stepping = true;
    this.direction = direction;
  }

  /** Return how many commands no frame shows yet. */
  get onTheirWay(): number {
    return this.lastSequence - this.appliedSequence;
  }

  sent(sequence: number): void {
    this.lastSequence = sequence;
  }

  welcomed(resumed: boolean): void {
    if (!resumed) this.lastSequence = 0;
  }

  /** Believe a frame that knows all commands. */
  received(frame: Frame): void {
    this.appliedSequence = frame.appliedSequence;
    if (frame.appliedSequence < this.lastSequence) return;
    this.settings = frame.settings;
    this.motion = this.#stepping ? Motion.PAUSED : frame.motion;
    if (frame.motion !== Motion.PAUSED) this.direction = frame.motion;
  }
}

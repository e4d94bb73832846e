/** What is known of a session: what it begins with, what the server has said, and what is on its way. */

import type { Start, Welcome } from "../diffusion_toy/v1/denoise_pb.ts";
import type * as m from "../contract/messages.ts";
import { DABS_PER_FRAME } from "./brush.ts";
import { ExpectedState } from "./expected_state.ts";
import type { Schedule } from "./schedule.ts";
import type { Point } from "./strokes.ts";

const RENDER_RATE_HZ = 60;
const OTHER_COMMANDS_HZ = 40; // what buttons and keys may need of the server's limit

export class SessionView {
  /** What the session begins with; kept up to date, so that a lost one can begin again. */
  start: Start;
  live = false;
  welcome: Welcome | undefined;
  schedule: Schedule | undefined;
  frame: m.Frame | undefined;
  protected readonly expected = new ExpectedState();
  protected dropped = false; // commands have been asked for that will not be sent
  #sentState: { start: Start; expected: ExpectedState }; // with the commands that have been sent

  constructor(start: Start) {
    this.start = start;
    this.#sentState = { start, expected: this.expected.copy() };
  }

  /** Keep what the session is to do as of now: all that was asked for is on its way. */
  protected rememberSent(): void {
    this.#sentState = { start: this.start, expected: this.expected.copy() };
    this.dropped = false;
  }

  /** Take back what was asked for without a connection: a session that goes on knows nothing of it. */
  protected forgetDropped(): void {
    if (this.dropped) {
      this.start = this.#sentState.start;
      this.expected.goBackTo(this.#sentState.expected);
    }
    this.dropped = false;
  }

  /** Return the settings in force, with the changes that are on their way. */
  get settings(): m.Settings {
    return this.expected.settings;
  }

  /** Whether the session is somebody else's. */
  get watching(): boolean {
    return this.start.watch !== "";
  }

  /** Return the number of the last command that was sent. */
  get lastSequence(): number {
    return this.expected.lastSequence;
  }

  /** Return where `play` goes. */
  get direction(): m.Motion {
    return this.expected.direction;
  }

  /** Return T of the schedule in force. */
  get numTimeSteps(): number {
    return this.frame?.settings.numTimeSteps ?? this.settings.numTimeSteps;
  }

  get tickRateHz(): number {
    return this.welcome?.limits?.tickRateHz ?? RENDER_RATE_HZ;
  }

  /** Return how many dabs are sent for one picture of the screen, so that the server takes them all. */
  get dabsPerFrame(): number {
    const limit = this.welcome?.limits?.commandsPerSecond ?? 500;
    const allowed = Math.floor((limit - OTHER_COMMANDS_HZ) / RENDER_RATE_HZ);
    return Math.min(Math.max(allowed, 1), DABS_PER_FRAME);
  }

  get shape(): m.Shape {
    const model = this.welcome?.model;
    return { channels: model?.channels || 1, height: model?.height || 28, width: model?.width || 28 };
  }

  get labelNames(): readonly string[] {
    return this.welcome?.model?.labelNames ?? [];
  }

  /** Return the time step of the pixel at a point of the picture. */
  timeStepAt([x, y]: Point): number | undefined {
    const { frame, schedule, shape } = this;
    if (!frame || !schedule) return undefined;
    if (!frame.levelMap) return frame.timeStep.max;
    const row = Math.min(Math.floor(y * shape.height), shape.height - 1);
    const column = Math.min(Math.floor(x * shape.width), shape.width - 1);
    return schedule.timeStepOf(frame.levelMap[row * shape.width + column] ?? 0);
  }
}

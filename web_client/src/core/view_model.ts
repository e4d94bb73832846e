/**
 * What the page knows and what the person asks for, without elements and without a connection
 * (`core/view_model.py`).
 *
 * Actions and points of the picture come in, commands for the session go out.
 */

import { create } from "@bufbuild/protobuf";
import {
  ExampleSchema, type Origin, OriginSchema, type Rejected, type Start, StartSchema, type Welcome,
} from "../diffusion_toy/v1/denoise_pb.ts";
import * as m from "../contract/messages.ts";
import type { Event } from "../link/connection.ts";
import { CommandLog } from "../recipes/command_log.ts";
import { type Recipe, sessionOf } from "../recipes/recipe.ts";
import { Replay } from "../recipes/replay.ts";
import { Brush, Painting } from "./brush.ts";
import { Feedback } from "./feedback.ts";
import { Film } from "./film.ts";
import { doubtOf, type Notice } from "./notice.ts";
import { chosen, unchosen } from "./options.ts";
import { Schedule } from "./schedule.ts";
import { drawSeed } from "./seed.ts";
import { SessionView } from "./session_view.ts";
import type { Point } from "./strokes.ts";

const HEALING_AHEAD = 8; // commands on their way while the picture is denoised under the pointer
const NEAR_SHARE = 0.02; // of T: a click so near to a kept state means that one

/** Told of each command that is sent, and of each frame. */
export interface Observer {
  sent(command: m.Command, sequence: number): void;
}

export class ViewModel extends SessionView {
  notice: Notice | undefined;
  pointer: Point | undefined; // in fractions of the picture, undefined outside it
  healing = false; // two fingers, or the right button, denoise under the pointer
  replay: Replay | undefined; // then the pointer adds nothing
  readonly brush = new Brush();
  readonly painting = new Painting(this.brush);
  readonly feedback = new Feedback();
  readonly film = new Film();
  observers: Observer[] = [];
  commandLog = new CommandLog();
  #outgoing: m.Command[] = [];
  #playsOn = false; // it is to run again once it is back

  // --- from the connection ---

  receiveEvent(event: Exclude<Event, { case: "lesson" }>): void {
    switch (event.case) {
      case "welcome":
        this.#receiveWelcome(event.value);
        break;
      case "schedule":
        this.schedule = new Schedule(event.value.alphasCumprod);
        break;
      case "rejected":
        this.#receiveRejection(event.value);
    }
  }

  receiveFrame(frame: m.Frame): void {
    this.expected.received(frame);
    this.commandLog.received(frame);
    this.feedback.received(frame);
    this.film.add(frame);
    this.frame = frame;
    this.replay?.receive(frame);
    this.#endReplayIfOver();
  }

  #receiveWelcome(welcome: Welcome): void {
    const before = this.welcome;
    this.expected.welcomed(welcome.resumed);
    this.commandLog.welcomed(welcome);
    this.feedback.welcomed(welcome.resumed);
    if (!welcome.resumed) this.film.clear();
    this.welcome = welcome;
    if (welcome.schedule) this.schedule = new Schedule(welcome.schedule.alphasCumprod);
    if (welcome.resumed) {
      // it is as it was, and what was on its way still is
      if (!this.live) this.takeCommands(); // none goes to it that was asked for before it was back
      this.forgetDropped();
      if (before && welcome.sessionId !== before.sessionId) this.replay = undefined;
      if (!before) this.start = { ...this.start, seed: welcome.seed };
      return;
    }
    this.dropped = this.#playsOn = false;
    const settings = m.settingsOf(welcome.settings);
    this.expected.settings = settings;
    if (welcome.watching) return;
    if (before && !this.#leaving) this.notice = { what: "session replaced" };
    this.#leaving = false;
    this.expected.begin(this.start.motion || m.Motion.REVERSE);
    this.expected.settings = { ...settings, ...m.changeOf(this.start.settings) };
    if (this.start.seed === undefined) this.start = { ...this.start, seed: welcome.seed };
    if (this.replay) {
      this.#outgoing = []; // all is as the recipe says
      this.replay.beginAgain();
      this.notice = doubtOf(this.replay.recipe, this.welcome.model?.fingerprint) ?? this.notice;
    }
  }

  #leaving = false; // the person has asked for another model's session

  #receiveRejection(rejected: Rejected): void {
    this.commandLog.rejected(Number(rejected.sequence));
    this.notice = { what: "rejected", message: rejected.message };
    this.start = unchosen(this.start, rejected.field);
    this.replay?.rejected(rejected);
    this.#endReplayIfOver();
  }

  /** Return what a connection begins with: after a loss, the same seed and settings again. */
  nextStart(): Start {
    let start = this.replay ? sessionOf(this.replay.recipe, this.start.model) : this.start;
    if (this.welcome && start.origin) {
      const T = m.changeOf(start.settings).numTimeSteps ?? this.settings.numTimeSteps;
      start = { ...start, origin: m.originWithin(start.origin, T) };
    }
    this.commandLog.askedFor(start);
    return start;
  }

  sent(command: m.Command, sequence: number, now: number): void {
    const ahead = this.replay?.sent(command, sequence) ?? false;
    this.expected.sent(sequence);
    this.commandLog.sent(command, sequence);
    this.feedback.sent(command, sequence, now, ahead);
    for (const observer of this.observers) observer.sent(command, sequence);
  }

  /** Return what the session does, with the commands that are on their way. */
  get motion(): m.Motion {
    if (this.replay) return this.replay.held ? m.Motion.PAUSED : this.replay.direction;
    return this.expected.motion;
  }

  // --- from the pointer ---

  /** Follow the pointer to this point of the picture; undefined means outside it. */
  pointerAt(point: Point | undefined): void {
    this.pointer = point;
    if (this.healing || !point || !this.painting.paints || this.replay || !this.live) this.painting.lift();
    else if (this.watching) this.notice = { what: "watching" };
    else this.painting.move(point);
  }

  /** Take note that the button or the finger went down or up. */
  pointerHeld(held: boolean): void {
    this.painting.held = held;
    if (this.brush.mode === "brush while pressed") this.pointerAt(this.pointer);
  }

  /** Take note that what denoises under the pointer went down or up. */
  heal(held: boolean): void {
    if (held && this.watching) {
      this.notice = { what: "watching" };
      return;
    }
    this.healing = held && !this.replay;
    this.painting.lift();
  }

  /** Drop painted noise that has not been sent; the next point begins a new stroke. */
  dropStrokes(): void {
    this.painting.lift();
    this.painting.drop();
  }

  /** Remove and return the commands to send now; called once for each picture that is drawn. */
  takeCommands(): m.Command[] {
    let commands = this.#outgoing;
    this.#outgoing = [];
    if (!this.live) {
      // a lost session begins again from `start`
      this.painting.drop();
      this.dropped ||= commands.length > 0;
      return [];
    }
    if (this.#playsOn) {
      commands.unshift(m.play(this.direction));
      this.expected.moved(commands[0]!);
      this.#playsOn = false;
    }
    if (this.replay) {
      const steered = this.replay.steer(commands);
      if (steered) {
        commands = steered;
      } else {
        this.replay = undefined;
        this.notice = { what: "taken over" };
      }
    }
    if (this.painting.waiting) this.notice = undefined;
    commands.push(...this.painting.take(this.dabsPerFrame).map((dab) => this.brush.inject(dab)));
    const fewAhead = this.expected.onTheirWay < HEALING_AHEAD; // so steps end with the button
    if (this.healing && this.pointer && fewAhead) {
      const [x, y] = this.pointer;
      const step = m.step(m.Motion.REVERSE, m.disc(x, y, this.brush.radius));
      commands.push(step);
      this.expected.moved(step);
    }
    this.rememberSent();
    return commands;
  }

  // --- a replay ---

  /** Replay a recipe in this session: its run takes the place of the present one. */
  beginReplay(recipe: Recipe): void {
    if (this.watching) {
      this.notice = { what: "watching" };
      return;
    }
    this.start = { ...sessionOf(recipe, this.start.model), motion: m.Motion.UNSPECIFIED };
    this.expected.settings = { ...this.settings, ...recipe.settings };
    this.#outgoing = [];
    this.#forgetRun();
    this.healing = false;
    this.#playsOn = false;
    this.replay = new Replay(recipe, this.welcome !== undefined);
    this.notice = doubtOf(recipe, this.welcome?.model?.fingerprint);
    this.rememberSent(); // a replay waits for the connection
  }

  /** Return what the replay sends at `now` (seconds), the same until it was `sent`; undefined if nothing. */
  nextReplayed(now: number): m.Command | undefined {
    const limits = this.welcome?.limits;
    if (!this.replay || !limits || !this.live) return undefined;
    const command = this.replay.next(now, limits, this.settings.stepsPerSecond);
    if (command?.case === "configure") {
      this.expected.settings = { ...this.settings, ...m.changeOf(command.value.settings) };
    }
    return command;
  }

  #endReplayIfOver(): void {
    const replay = this.replay;
    if (!replay || !(replay.done || replay.failure)) return;
    const ending: Notice = { what: "replayed", steps: replay.recipe.steps };
    const mismatch: Notice | undefined = replay.failure && { what: "mismatch", mismatch: replay.failure };
    this.notice = mismatch ?? doubtOf(replay.recipe, this.welcome?.model?.fingerprint) ?? ending;
    this.replay = undefined;
    this.expected.pausedByReplay(replay.direction);
  }

  #forgetRun(): void {
    this.painting.drop();
    this.film.clear();
    this.feedback.forgetRun();
  }

  // --- from buttons and keys ---

  /** Change settings; after a loss of the connection they are asked for again. */
  configure(change: Partial<m.Settings>): void {
    this.start = chosen(this.start, change);
    this.expected.settings = { ...this.settings, ...change };
    this.#outgoing.push(m.configure(change));
    const waits = change.label !== undefined && change.label !== m.NO_LABEL && this.frame?.timeStep.max === 0;
    this.notice = waits ? { what: "class waits" } : undefined;
  }

  togglePlay(): void {
    this.#move(this.motion === m.Motion.PAUSED ? m.play(this.direction) : m.pause());
  }

  /** Let time run again, the way it ran; after a loss, as soon as the session is back. */
  play(): void {
    this.#playsOn = !this.live;
    this.#move(m.play(this.direction));
  }

  /** Pause the session as it is; strokes that have not been sent are dropped. */
  pause(): void {
    this.painting.drop();
    this.#move(m.pause());
  }

  toggleDirection(): void {
    const forward = this.direction === m.Motion.FORWARD;
    this.#move(m.play(forward ? m.Motion.REVERSE : m.Motion.FORWARD));
  }

  step(direction: m.Motion): void {
    this.#move(m.step(direction));
  }

  back(): void {
    this.#move(m.back());
  }

  /** Go to this time step: noise up to it, or the kept state that is nearest to it. */
  jumpTo(timeStep: number): void {
    const { frame, numTimeSteps: T } = this;
    if (!frame || !this.live) return;
    const earlier = timeStep < frame.timeStep.max;
    const step = earlier ? this.film.nearest(timeStep, frame.firstKeptStep, NEAR_SHARE * T) : undefined;
    this.#jump(step === undefined ? m.jumpToTime(Math.min(Math.max(timeStep, 0), T)) : m.jumpToStep(step));
  }

  /** Go back to this step of the run, if the server still keeps its state. */
  jumpToStep(step: number): void {
    if (!this.frame || !this.live) return;
    if (step < this.frame.firstKeptStep) this.notice = { what: "moment gone" };
    else this.#jump(m.jumpToStep(step));
  }

  #jump(command: m.Command): void {
    this.painting.drop();
    this.#move(command);
  }

  #move(command: m.Command): void {
    this.notice = undefined;
    this.#outgoing.push(command);
    this.expected.moved(command);
  }

  /** Begin the picture again; what is not given stays. From a clean one, time runs forward. */
  restart(seed?: bigint, origin?: Origin): void {
    const originNow = origin ?? this.start.origin;
    const forward = originNow?.timeStep === 0; // a clean picture has only one way to go
    const motion = forward ? m.Motion.FORWARD : m.Motion.REVERSE;
    const given = { ...(seed === undefined ? {} : { seed }), ...(originNow ? { origin: originNow } : {}) };
    this.start = { ...this.start, ...given, motion };
    this.notice = undefined;
    this.#outgoing.push(m.restart(seed, origin));
    this.expected.begin(m.Motion.REVERSE);
    this.#forgetRun();
    if (forward) this.#move(m.play(m.Motion.FORWARD));
  }

  /** Take note that a restart with these was sent past this model. */
  restarted(seed: bigint, origin: Origin): void {
    this.start = { ...this.start, seed, origin, motion: m.Motion.REVERSE };
    this.expected.begin(m.Motion.REVERSE);
    this.#forgetRun();
    this.rememberSent();
  }

  /** Begin another picture from noise. */
  newSeed(): void {
    this.restart(drawSeed(), create(OriginSchema));
  }

  /** Begin with a real picture of the class that is chosen, and let it turn to noise. */
  example(): void {
    if (!this.welcome?.model?.hasExamples) {
      this.notice = { what: "no examples" };
      return;
    }
    const { label } = this.settings;
    const example = create(ExampleSchema, label === m.NO_LABEL ? {} : { label });
    this.restart(drawSeed(), create(OriginSchema, { source: { case: "example", value: example }, timeStep: 0 }));
  }

  /** Begin with a picture of one's own, C·H·W bytes, at this time step; from 0 it turns to noise. */
  beginWith(pixels: Uint8Array<ArrayBuffer>, timeStep: number): void {
    this.restart(drawSeed(), create(OriginSchema, { source: { case: "pixels", value: pixels }, timeStep }));
  }

  /** Leave this session for one of another model; the caller begins it. */
  changeModel(model: string): void {
    const { settings } = unchosen(this.start, "settings.label"); // its classes are others
    this.start = create(StartSchema, { model, ...(settings ? { settings } : {}), seed: drawSeed() });
    this.#leaving = true;
    this.replay = this.notice = undefined;
    this.#outgoing = [];
    this.#forgetRun();
  }

  /** Go on with another session of this seed, whose first steps had another seed; the caller opens it. */
  switchSession(seed: bigint): void {
    this.start = { ...this.start, seed };
    this.commandLog = new CommandLog(); // no recipe has two seeds
    this.#outgoing = [];
    this.#forgetRun();
    this.rememberSent();
  }

  /** Add noise of so many time steps to the whole picture, all at once. */
  dose(amount: number): void {
    this.#outgoing.push(this.brush.inject({ center: undefined, radius: 1, amount }));
  }

  /** Add one dab of the brush, as a click does. */
  dab(point: Point): void {
    if (this.replay || !this.live) return;
    this.#outgoing.push(this.brush.inject(this.brush.dab(point)));
  }

  /** Take one step of denoising within the brush. */
  healOnce([x, y]: Point): void {
    this.#move(m.step(m.Motion.REVERSE, m.disc(x, y, this.brush.radius)));
  }
}

/** Branches and the twin: what is said of them as in the viewer, and that one thing is all that differs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import golden from "../../tests/golden/cases.json";
import type { Start } from "../src/diffusion_toy/v1/denoise_pb.ts";
import { type Command, type Frame, Motion, start } from "../src/contract/messages.ts";
import { ViewModel } from "../src/core/view_model.ts";
import { agreement, Branches, obstacle, seedsOf } from "../src/experiments/branches.ts";
import {
  type Difference, firstTwin, meaningOf, nextTwin, rootMeanSquare, type Treatment,
} from "../src/experiments/difference.ts";
import type { Link } from "../src/experiments/extra_session.ts";
import { Twin } from "../src/experiments/twin.ts";
import { en } from "../src/words/en.ts";
import { frame, welcome } from "./frames.ts";

test("branches have the same seeds and agree alike", () => {
  for (const [seed, seeds] of golden.branches.seeds as [string, string[]][]) {
    assert.deepEqual(seedsOf(BigInt(seed), 3).map(String), seeds);
  }
  for (const { pictures, correlation, alike, same } of golden.branches.agreements) {
    const found = agreement(pictures.map((picture) => Float32Array.from(picture)));
    assert.ok(Math.abs(found.correlation - correlation) < 1e-5);
    assert.deepEqual([found.alike, found.same], [alike, same]);
  }
});

interface Chain {
  own: Treatment;
  what: Difference;
  classes: number;
  values: number[];
}

test("twins differ in the same things, and the same is said of them", () => {
  const chains = golden.twins.chains as unknown as Chain[];
  for (const { own, what, classes, values } of chains) {
    let twin: Treatment = firstTwin(own, what, classes);
    values.forEach((value, i) => {
      if (i) twin = nextTwin(own, twin, what, classes);
      assert.deepEqual(twin, { ...own, [what]: value });
    });
  }
  for (const [rms, what, touched, sentence] of golden.twins.sentences as [number, Difference, boolean, string][]) {
    assert.equal(en.findings[meaningOf(rms, what, touched)], sentence);
  }
  const { one, other, rms } = golden.twins.pair;
  assert.ok(Math.abs(rootMeanSquare(Float32Array.from(one), Float32Array.from(other)) - rms) < 1e-6);
});

const T = 60; // where time begins in these sessions
const INJECTIONS_PER_TICK = 8;

/** A session without pictures: how late its commands arrive, and at which step each was applied. */
class Session implements Link {
  status: Link["status"] = { phase: "live", failure: undefined, attempt: 0 };
  recent: Frame[] = [];
  resumeToken: Link["resumeToken"];
  roundTripS = 0.1;
  applied: [kind: Command["case"], step: number, amount: number][] = [];
  late = 0; // commands that came after the step they were meant for
  ended: "no" | "yes" | "kept" = "no";
  readonly start: Start | undefined;
  delay: number; // ticks that a command is on its way
  #ticks = 0;
  #sequence = 1;
  #told = 1;
  #way: { due: number; sequence: number; command: Command; at: number | undefined }[] = [];
  #news: Frame["applied"] = [];
  #t = T;
  #step = 0;
  #motion = Motion.REVERSE;
  #single = false;
  #changed = true;
  #welcomed = false;
  #frame: Frame | undefined;

  constructor(delay: number, begun?: Start) {
    this.delay = delay;
    this.start = begun;
    if (begun?.resumeToken.length) this.resumeToken = { token: begun.resumeToken, sequence: 1n } as never;
    if (begun?.motion === Motion.PAUSED || this.resumeToken) this.#motion = Motion.PAUSED;
  }

  get live(): boolean {
    return this.status.phase === "live";
  }

  get failed(): boolean {
    return !this.live;
  }

  send(command: Command, at?: number): number {
    this.#sequence += 1;
    this.#way.push({ due: this.#ticks + this.delay, sequence: this.#sequence, command, at });
    return this.#sequence;
  }

  take(): ReturnType<Link["take"]> {
    const taken = { events: this.#welcomed ? [] : [{ case: "welcome" as const, value: welcome() }], frame: this.#frame };
    this.#welcomed = true;
    this.#frame = undefined;
    return taken;
  }

  drawn(): void {
    // nobody waits for it
  }

  leave(keep = false): void {
    this.ended = keep ? "kept" : "yes";
  }

  beginAnew(): void {
    this.ended = "yes";
  }

  #idle(): boolean {
    return this.#motion === Motion.PAUSED ? !this.#single : this.#t === 0;
  }

  tick(): void {
    this.#ticks += 1;
    let injections = 0;
    let waits = false;
    while (this.#way[0] && this.#way[0].due <= this.#ticks) {
      const { sequence, command, at } = this.#way[0];
      waits = at === this.#step;
      if (at !== undefined && at > this.#step) break;
      if (command.case === "inject" && ++injections > INJECTIONS_PER_TICK) break;
      waits = false;
      this.#way.shift();
      this.#told = sequence;
      this.#changed = true;
      if (at !== undefined && at < this.#step) {
        this.late += 1;
        continue;
      }
      this.#news.push({ sequence, step: this.#step });
      const counted = command.case === "restart" ? 0 : this.#step; // that one is meant for no step
      this.applied.push([command.case, counted, command.case === "inject" ? command.value.amount : 0]);
      this.#apply(command);
      if (this.#single) break;
    }
    if (this.#changed) this.#publish();
    this.#changed = false;
    if (waits || this.#idle()) return;
    this.#t = Math.max(this.#t - 1, 0);
    this.#step += 1;
    this.#single = false;
    this.#changed = true;
  }

  #apply(command: Command): void {
    if (command.case === "inject") this.#t = Math.min(this.#t + command.value.amount, T);
    else if (command.case === "restart") [this.#t, this.#step, this.#motion] = [T, 0, Motion.REVERSE];
    else if (command.case === "play") this.#motion = Motion.REVERSE;
    else if (command.case === "pause") this.#motion = Motion.PAUSED;
    else if (command.case === "step") [this.#motion, this.#single] = [Motion.PAUSED, this.#t > 0];
    if (this.#motion === Motion.PAUSED) this.resumeToken = { token: Uint8Array.of(1), sequence: BigInt(this.#told) } as never;
  }

  #publish(): void {
    const values = new Float32Array(4).fill(this.#t / T);
    this.#frame = frame(this.#t, {
      step: this.#step, appliedSequence: this.#told, applied: this.#news, motion: this.#motion, idle: this.#idle(),
      x0Hat: values, xT: values, serverMs: 8, seed: this.start?.seed ?? 7n,
    });
    this.#news = [];
    this.recent = [...this.recent, this.#frame].slice(-32);
  }
}

/** The person's session with its model, sessions that are opened beside it, and a clock. */
class Scene {
  readonly model = new ViewModel(start({ seed: 7n }));
  readonly own: Session;
  readonly beside: Session[] = [];
  now = 0;
  comparison: { update(now: number): void } | undefined;

  constructor(late: number) {
    this.own = new Session(late);
    const limits = { tickRateHz: 60, commandsPerSecond: 500, window: 32, injectionsPerTick: INJECTIONS_PER_TICK };
    const model = { name: "mnist", labelNames: ["0", "1", "2"], height: 2, width: 2 };
    this.model.receiveEvent({ case: "welcome", value: welcome({ limits, model } as never) });
    this.run(() => this.model.frame?.step === 3);
  }

  open = (begun: Start): Session => {
    this.beside.push(new Session(this.beside.length + 3, begun));
    return this.beside.at(-1)!;
  };

  tick(): void {
    this.now += 1 / 60;
    for (const session of [this.own, ...this.beside]) session.tick();
    const { frame: newest } = this.own.take();
    this.model.live = this.own.live;
    if (newest) this.model.receiveFrame(newest);
    for (const command of this.model.takeCommands()) this.model.sent(command, this.own.send(command), this.now);
    this.comparison?.update(this.now);
  }

  run(until: () => boolean): void {
    for (let ticks = 0; !until(); ticks++) {
      assert.ok(ticks < 3000, "what is waited for never comes");
      this.tick();
    }
  }
}

test("whatever is done lands at the same step of both", () => {
  let seed = 1;
  const draw = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const late of [0, 2, 5]) {
    const scene = new Scene(late);
    scene.model.brush.mode = "brush";
    scene.model.brush.strength = 4;
    const twin = new Twin(scene.model, scene.own, scene.open);
    scene.comparison = twin;
    const [other] = scene.beside;
    assert.equal(other?.start?.motion, Motion.PAUSED);
    assert.equal(twin.finding, "joins");
    scene.run(() => twin.pair !== undefined);
    for (let i = 0; i < 500; i++) {
      scene.tick();
      const dice = Math.floor(draw() * 60);
      if (dice === 0) twin.togglePlay();
      else if (dice === 1) twin.step();
      else if (dice === 2) twin.restart();
      else if (dice === 3) twin.dab([draw(), draw()]);
      else if (dice < 8) {
        twin.pointerAt(undefined);
        for (let n = 0; n < 9; n++) twin.pointerAt([draw(), draw()]);
      }
    }
    if (!twin.playing) twin.togglePlay();
    scene.run(() => !twin.waiting && twin.pair?.[0].timeStep.max === 0 && twin.pair[0] === scene.own.recent.at(-1));
    assert.equal(twin.diverged, false);
    assert.equal(scene.own.late + other.late, 0);
    const shared = scene.own.applied.slice(scene.own.applied.findIndex(([kind]) => kind === "restart"));
    assert.deepEqual(shared, other.applied.filter(([kind]) => kind !== "configure"));
    assert.ok(shared.filter(([kind]) => kind === "inject").length > 20);
    twin.close();
    assert.deepEqual([other.ended, scene.own.ended], ["yes", "no"]);
  }
});

test("the twin of a session from a longer schedule begins at the end of the present one", () => {
  const scene = new Scene(0);
  scene.model.start = start({ origin: { timeStep: 500 } });
  const twin = new Twin(scene.model, scene.own, scene.open);
  scene.comparison = twin;
  assert.equal(scene.beside[0]?.start?.origin?.timeStep, 300);
  scene.run(() => twin.pair !== undefined);
  assert.equal(scene.model.start.origin?.timeStep, 300);
});

test("a command that comes too late for one of them is told", () => {
  const scene = new Scene(0);
  scene.model.brush.mode = "brush";
  const twin = new Twin(scene.model, scene.own, scene.open);
  scene.comparison = twin;
  scene.run(() => (twin.pair?.[0].step ?? 0) > 3);
  scene.beside[0]!.delay = 30; // longer than its connection has told
  twin.dab([0.5, 0.5]);
  scene.run(() => !twin.waiting);
  scene.run(() => twin.diverged);
  assert.equal(twin.finding, "diverged");
  twin.restart();
  assert.equal(twin.diverged, false);
});

test("a twin whose stream breaks is told of, and the person's session goes on", () => {
  const scene = new Scene(1);
  const twin = new Twin(scene.model, scene.own, scene.open);
  scene.comparison = twin;
  scene.run(() => twin.pair !== undefined);
  const failure = { trouble: "full", details: "", again: true, newSession: false } as const;
  scene.beside[0]!.status = { phase: "reconnecting", failure, attempt: 1 };
  scene.tick();
  assert.ok(twin.closed);
  assert.deepEqual(scene.model.notice, { what: "comparison", ending: "twin full", trouble: "full" });
  assert.equal(scene.own.ended, "no");
});

test("branches begin at the moment at which the session is paused, and one is gone on with", () => {
  const scene = new Scene(2);
  const branches = new Branches(scene.model, scene.own, scene.open);
  scene.comparison = branches;
  scene.run(() => branches.stage === "running");
  assert.equal(scene.model.motion, Motion.PAUSED);
  assert.deepEqual(scene.beside.map((one) => one.start?.seed), seedsOf(7n));
  assert.equal(branches.origin?.seed, 7n);
  scene.run(() => branches.stage === "finished");
  assert.equal(branches.agreement?.same, true);
  const third = branches.branches[2]!;
  branches.adopt(third);
  assert.ok(branches.closed);
  assert.deepEqual(scene.beside.map((one) => one.ended), scene.beside.map((_, i) => (i === 2 ? "kept" : "yes")));
  assert.equal(scene.own.ended, "yes");
  assert.equal(scene.model.start.seed, third.seed);
  assert.deepEqual(scene.model.notice, { what: "branch taken", seed: third.seed });
});

test("a session whose branches end with its stream plays on when it is back", () => {
  const scene = new Scene(2);
  const branches = new Branches(scene.model, scene.own, scene.open);
  scene.comparison = branches;
  scene.run(() => branches.stage === "running");
  const failure = { trouble: "broken", details: "", again: true, newSession: false } as const;
  scene.own.status = { phase: "reconnecting", failure, attempt: 1 };
  scene.run(() => branches.closed);
  const notice = { what: "comparison", ending: "branches gone", trouble: "broken" };
  assert.deepEqual(scene.model.notice, notice);
  for (let ticks = 0; ticks < 5; ticks++) scene.tick();
  scene.model.receiveEvent({ case: "welcome", value: welcome({ resumed: true }) });
  scene.own.status = { phase: "live", failure: undefined, attempt: 0 };
  scene.run(() => scene.model.frame?.timeStep.max === 0);
});

test("branches for which there is no room go, and the session plays on when they are closed", () => {
  const scene = new Scene(2);
  const branches = new Branches(scene.model, scene.own, (begun) => {
    const session = scene.open(begun);
    const failure = { trouble: "full", details: "", again: true, newSession: false } as const;
    if (scene.beside.length > 3) {
      session.status = { phase: "reconnecting", failure, attempt: 1 };
      session.take = () => ({ events: [], frame: undefined });
    }
    return session;
  });
  scene.comparison = branches;
  scene.run(() => branches.stage === "running");
  assert.equal(branches.branches.length, 3);
  branches.close();
  scene.run(() => scene.model.frame?.timeStep.max === 0);
  assert.ok(scene.beside.every((one) => one.ended === "yes"));
  assert.deepEqual(obstacle(scene.model), { what: "one way on" });
});

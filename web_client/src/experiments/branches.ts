/**
 * Branches: continuations of one moment side by side, each with a seed of its own (`experiments/branches.py`).
 *
 * The session is paused; its resume token of that moment begins each branch. Early in the process they come to
 * different pictures, late ones to the same: this is where the picture is decided.
 */

import type { ResumeToken } from "../diffusion_toy/v1/denoise_pb.ts";
import * as m from "../contract/messages.ts";
import type { Notice } from "../core/notice.ts";
import type { ViewModel } from "../core/view_model.ts";
import { ending, ExtraSession, type Link, obstacle as anyObstacle, type OpenLink } from "./extra_session.ts";

export const BRANCHES = 8;
const TOKEN_S = 5; // how long the server may take to send the moment's token
const ALIKE = 0.8; // correlation of two pictures from which on they count as alike

/** How alike some pictures are. */
export interface Agreement {
  correlation: number; // of the pixels of two pictures, −1…1, as the mean over all pairs
  alike: number; // size of the largest group that correlate with one of them by `ALIKE` or more
  same: boolean; // no pixel differs between any two
}

/** Return how alike two or more pictures are; a constant one is only like its equal. */
export function agreement(pictures: readonly Float32Array[]): Agreement {
  const centred = pictures.map((picture) => {
    const mean = picture.reduce((sum, value) => sum + value, 0) / picture.length;
    const values = Float64Array.from(picture, (value) => value - mean);
    const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    return { first: picture[0], values, length, constant: length <= 1e-6 };
  });
  const correlations = centred.map((one) =>
    centred.map((other) => {
      if (one.constant || other.constant) return one.constant && other.constant && one.first === other.first ? 1 : 0;
      const product = one.values.reduce((sum, value, i) => sum + value * other.values[i]!, 0);
      return Math.min(Math.max(product / (one.length * other.length), -1), 1);
    }));
  const pairs = correlations.flatMap((row, i) => row.slice(i + 1));
  return {
    correlation: pairs.reduce((sum, one) => sum + one, 0) / pairs.length,
    alike: Math.max(...correlations.map((row) => row.filter((one) => one >= ALIKE).length)),
    same: pictures.every((picture) => picture.every((value, i) => value === pictures[0]![i])),
  };
}

/** Return the seeds of a session's branches: those that follow its own. */
export function seedsOf(seed: bigint, count = BRANCHES): bigint[] {
  return Array.from({ length: count }, (_, i) => (seed + 1n + BigInt(i)) % (m.SEED_MAX + 1n));
}

/** Return why there can be no branches now; undefined if there can. */
export function obstacle(model: ViewModel): Notice | undefined {
  return anyObstacle(model) ?? (model.frame?.timeStep.max === 0 ? { what: "one way on" } : undefined);
}

/** One continuation. */
export class Branch extends ExtraSession {
  readonly seed: bigint;

  constructor(link: Link, seed: bigint) {
    super(link);
    this.seed = seed;
  }

  /** Whether it has come to a clean picture. */
  get finished(): boolean {
    return this.frame?.idle === true && this.frame.timeStep.max === 0;
  }
}

/** From the moment they were asked for until they are closed. */
export class Branches {
  stage: "pausing" | "opening" | "running" | "finished" = "pausing";
  origin: m.Frame | undefined; // they all come from it; undefined until the session is paused
  branches: Branch[] = []; // those that the server has room for
  agreement: Agreement | undefined; // of their guesses
  closed = false;
  readonly #model: ViewModel;
  readonly #own: Link;
  readonly #open: OpenLink;
  readonly #before: number;
  #wasPlaying: boolean;
  #tokenUntil: number | undefined;
  #compared: m.Frame[] = [];

  constructor(model: ViewModel, own: Link, openLink: OpenLink) {
    this.#model = model;
    this.#own = own;
    this.#open = openLink;
    this.#wasPlaying = model.motion !== m.Motion.PAUSED;
    this.#before = model.lastSequence;
    model.pause();
  }

  /** Take in what has come of all sessions; called once for each picture of the screen; `now` is in seconds. */
  update(now: number): void {
    if (this.closed) return;
    if (!this.#model.live) this.#end(ending("branches", this.#own, true));
    else if (this.stage === "pausing") this.#awaitToken(now);
    else this.#updateBranches();
  }

  #awaitToken(now: number): void {
    const { frame, lastSequence: sent } = this.#model;
    const token = this.#own.resumeToken;
    this.#tokenUntil ??= now + TOKEN_S;
    const paused = frame && frame.appliedSequence >= sent && frame.motion === m.Motion.PAUSED;
    if (sent > this.#before && paused && token && token.sequence >= BigInt(sent)) this.#begin(frame, token);
    else if (now > this.#tokenUntil) this.#end({ what: "no token" });
  }

  #begin(frame: m.Frame, { token }: ResumeToken): void {
    this.origin = frame;
    this.stage = "opening";
    this.branches = seedsOf(frame.seed).map((seed) =>
      new Branch(this.#open(m.start({ resumeToken: token, seed })), seed));
  }

  #updateBranches(): void {
    for (const branch of [...this.branches]) {
      // it is paused, as in the token; or, after a loss, where it had come to
      if (branch.update()) branch.link.send(m.play(m.Motion.REVERSE));
      if (branch.joined || !branch.link.failed) continue;
      this.branches = this.branches.filter((one) => one !== branch);
      branch.link.leave();
      if (this.branches.length) continue;
      this.#end(ending("branches", branch.link, false));
      return;
    }
    if (this.stage === "opening" && this.branches.every((one) => one.joined)) this.stage = "running";
    if (this.stage === "running" && this.branches.every((one) => one.finished)) this.stage = "finished";
    const frames = this.branches.flatMap(({ frame }) => frame ?? []);
    if (frames.length === this.#compared.length && frames.every((one, i) => one === this.#compared[i])) return;
    this.#compared = frames;
    this.agreement = frames.length > 1 ? agreement(frames.map((frame) => frame.x0Hat)) : undefined;
  }

  /**
   * Go on with this one; the others, and the session they come from, end.
   *
   * Not before it runs: what is on its way to it would be lost.
   */
  adopt(branch: Branch): void {
    const { link, frame, seed } = branch;
    const token = link.resumeToken;
    const runs = frame?.motion === m.Motion.REVERSE;
    if (this.closed || !token || !runs || link.failed || !this.#model.live) return;
    this.#model.switchSession(seed);
    this.branches = this.branches.filter((one) => one !== branch);
    link.leave(true);
    this.#own.beginAnew(token);
    this.#wasPlaying = false;
    this.#end({ what: "branch taken", seed });
  }

  /** End the branches; the session that was paused for them plays on. */
  close(): void {
    if (!this.closed) this.#end(this.#model.notice);
  }

  #end(notice: Notice | undefined): void {
    this.closed = true;
    for (const { link } of this.branches) link.leave();
    if (this.#wasPlaying) this.#model.play();
    this.#model.notice = notice;
  }
}

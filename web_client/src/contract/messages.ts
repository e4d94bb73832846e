/**
 * What travels on a stream, as the page uses it.
 *
 * Commands are protobuf's own messages, so that a recipe is protobuf's JSON. Frames and settings become plain
 * values here: pictures as float32, whole numbers as numbers, every setting set. The seed alone stays a bigint: it
 * has 63 bits.
 */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  BackSchema,
  ConfigureSchema,
  type DenoiseRequest,
  DenoiseRequestSchema,
  type Disc,
  DiscSchema,
  InjectionRule,
  InjectSchema,
  JumpSchema,
  Motion,
  NoiseKind,
  type Frame as FrameMessage,
  type Origin,
  PauseSchema,
  PlaySchema,
  RestartSchema,
  Sampler,
  ScheduleName,
  type Settings as SettingsMessage,
  SettingsSchema,
  type Start,
  StartSchema,
  StepSchema,
  WholeImageSchema,
} from "../diffusion_toy/v1/denoise_pb.ts";
import { floatsOfHalves } from "./half.ts";

export { InjectionRule, Motion, NoiseKind, Sampler, ScheduleName };

export const NO_LABEL = -1;
export const SEED_MAX = 2n ** 63n - 1n;
export const AMOUNT_MAX = 1000;
export const GUIDANCE_MAX = 8;
export const APPLIED_MAX = 4096; // commands that a frame lists

/** A request's body without `start` and `acknowledge`. */
export type Command = Exclude<
  DenoiseRequest["request"],
  { case: undefined } | { case: "start" } | { case: "acknowledge" }
>;

/** The choices of a session; `DEFAULTS` has the protocol's. */
export interface Settings {
  label: number;
  guidance: number;
  stepsPerSecond: number;
  stride: number;
  schedule: ScheduleName;
  numTimeSteps: number;
  sampler: Sampler;
  eta: number;
}

export const DEFAULTS: Settings = {
  label: NO_LABEL,
  guidance: 1,
  stepsPerSecond: 60,
  stride: 1,
  schedule: ScheduleName.COSINE,
  numTimeSteps: 300,
  sampler: Sampler.DDPM,
  eta: 0,
};

export interface Range {
  min: number;
  mean: number;
  max: number;
}

/** A picture's channels, height and width. */
export interface Shape {
  channels: number;
  height: number;
  width: number;
}

/** One moment of the session; `denoise.proto` says what each field means. */
export interface Frame {
  number: number;
  step: number;
  appliedSequence: number;
  applied: { sequence: number; step: number }[];
  xT: Float32Array; // (C, H, W)
  x0Hat: Float32Array; // (C, H, W)
  levelMap: Float32Array | undefined; // (H, W); undefined where all levels are `nominal.mean`
  nominal: Range;
  actual: Range;
  timeStep: Range;
  motion: Motion;
  idle: boolean;
  settings: Settings;
  seed: bigint;
  serverMs: number;
  sessions: number;
  watchers: number;
  firstKeptStep: number;
  measuredByResidual: number | undefined;
  measuredByBorder: number | undefined;
  excessKurtosis: number | undefined;
}

const NOTHING: Range = { min: 0, mean: 0, max: 0 };

export function frameOf(message: FrameMessage): Frame {
  return {
    number: Number(message.number),
    step: Number(message.step),
    appliedSequence: Number(message.appliedSequence),
    applied: message.applied.map((one) => ({ sequence: Number(one.sequence), step: Number(one.step) })),
    xT: floatsOfHalves(message.xT),
    x0Hat: floatsOfHalves(message.x0Hat),
    levelMap: message.levelMap.length ? floatsOfHalves(message.levelMap) : undefined,
    nominal: message.nominal ?? NOTHING,
    actual: message.actual ?? NOTHING,
    timeStep: message.timeStep ?? NOTHING,
    motion: message.motion,
    idle: message.idle,
    settings: settingsOf(message.settings),
    seed: message.seed,
    serverMs: message.serverMs,
    sessions: message.sessions,
    watchers: message.watchers,
    firstKeptStep: Number(message.firstKeptStep),
    measuredByResidual: message.measuredByResidual,
    measuredByBorder: message.measuredByBorder,
    excessKurtosis: message.excessKurtosis,
  };
}

/** Return the settings that a message has set; an enumeration's 0 means unset. */
export function changeOf(message: SettingsMessage | undefined): Partial<Settings> {
  const change: Partial<Settings> = {};
  if (message === undefined) return change;
  for (const name of ["label", "guidance", "stepsPerSecond", "stride", "numTimeSteps", "eta"] as const) {
    const value = message[name];
    if (value !== undefined) change[name] = value;
  }
  if (message.schedule) change.schedule = message.schedule;
  if (message.sampler) change.sampler = message.sampler;
  return change;
}

export function settingsOf(message: SettingsMessage | undefined): Settings {
  return { ...DEFAULTS, ...changeOf(message) };
}

export function settingsMessage(change: Partial<Settings>): SettingsMessage {
  return create(SettingsSchema, change);
}

/** Return an origin for a schedule of T steps: one chosen on a longer schedule starts at its end. */
export function originWithin(origin: Origin, numTimeSteps: number): Origin {
  if (origin.timeStep === undefined) return origin;
  return { ...origin, timeStep: Math.min(origin.timeStep, numTimeSteps) };
}

// --- commands ---

export function disc(x: number, y: number, radius: number): Disc {
  return create(DiscSchema, { x, y, radius });
}

/** Return the command that adds noise; without a disc to the whole picture. */
export function inject(place: Disc | undefined, amount: number, kind: NoiseKind, rule: InjectionRule): Command {
  const where = place
    ? { case: "disc" as const, value: place }
    : { case: "wholeImage" as const, value: create(WholeImageSchema) };
  return { case: "inject", value: create(InjectSchema, { place: where, amount, kind, rule }) };
}

export function play(direction: Motion): Command {
  return { case: "play", value: create(PlaySchema, { direction }) };
}

export function pause(): Command {
  return { case: "pause", value: create(PauseSchema) };
}

export function step(direction: Motion, place?: Disc): Command {
  return { case: "step", value: create(StepSchema, { direction, ...(place ? { disc: place } : {}) }) };
}

export function back(): Command {
  return { case: "back", value: create(BackSchema) };
}

export function jumpToStep(at: number): Command {
  return { case: "jump", value: create(JumpSchema, { target: { case: "step", value: BigInt(at) } }) };
}

export function jumpToTime(timeStep: number): Command {
  return { case: "jump", value: create(JumpSchema, { target: { case: "timeStep", value: timeStep } }) };
}

/** Return the command that begins the picture again; what is not given stays as it is. */
export function restart(seed?: bigint, origin?: Origin): Command {
  const body = { ...(seed === undefined ? {} : { seed }), ...(origin ? { origin } : {}) };
  return { case: "restart", value: create(RestartSchema, body) };
}

export function configure(change: Partial<Settings>): Command {
  return { case: "configure", value: create(ConfigureSchema, { settings: settingsMessage(change) }) };
}

export function start(fields: MessageInitShape<typeof StartSchema>): Start {
  return create(StartSchema, fields);
}

/** Return a request; `atStep` is the step that a command waits for. */
export function request(body: DenoiseRequest["request"], sequence = 0, atStep?: number): DenoiseRequest {
  const when = atStep === undefined ? {} : { atStep: BigInt(atStep) };
  return create(DenoiseRequestSchema, { sequence: BigInt(sequence), request: body, ...when });
}

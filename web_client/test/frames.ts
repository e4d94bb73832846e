/** Frames and welcomes made by hand. */

import { create } from "@bufbuild/protobuf";
import { type Welcome, WelcomeSchema } from "../src/diffusion_toy/v1/denoise_pb.ts";
import { DEFAULTS, type Frame, Motion, settingsMessage } from "../src/contract/messages.ts";

export const SHAPE = { channels: 1, height: 28, width: 28 };

/** Return a frame with one level everywhere, at this time step of 300. */
export function frame(t: number, changes: Partial<Frame> = {}): Frame {
  const level = { min: t / 300, mean: t / 300, max: t / 300 };
  return {
    number: 1,
    step: 0,
    appliedSequence: 0,
    applied: [],
    xT: new Float32Array(784),
    x0Hat: new Float32Array(784),
    levelMap: undefined,
    nominal: level,
    actual: level,
    timeStep: { min: t, mean: t, max: t },
    motion: Motion.REVERSE,
    idle: false,
    settings: { ...DEFAULTS },
    seed: 7n,
    serverMs: 5,
    sessions: 1,
    watchers: 0,
    firstKeptStep: 0,
    measuredByResidual: undefined,
    measuredByBorder: undefined,
    excessKurtosis: undefined,
    ...changes,
  };
}

export function welcome(changes: Partial<Welcome> = {}): Welcome {
  const model = { name: "mnist", fingerprint: "0".repeat(16), channels: 1, height: 28, width: 28 };
  const limits = { tickRateHz: 60, commandsPerSecond: 500, window: 32 };
  const message = create(WelcomeSchema, { sessionId: "id", seed: 7n, model, limits, window: 4 });
  message.settings = settingsMessage(DEFAULTS);
  return { ...message, ...changes };
}

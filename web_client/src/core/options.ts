/** What the person can choose from, and how a choice outlives a lost connection (`core/options.py`). */

import type { Start } from "../diffusion_toy/v1/denoise_pb.ts";
import { changeOf, Sampler, ScheduleName, type Settings, settingsMessage } from "../contract/messages.ts";

export const SCHEDULES = [
  { schedule: ScheduleName.COSINE, numTimeSteps: 300 },
  { schedule: ScheduleName.LINEAR, numTimeSteps: 300 },
  { schedule: ScheduleName.LINEAR, numTimeSteps: 1000 },
] as const;
export const SAMPLERS = [Sampler.DDPM, Sampler.DDIM, Sampler.DPMPP, Sampler.SDE_DPMPP] as const;
export const STRIDES = [1, 2, 3, 5, 10, 15, 30] as const;
const SPEEDS = [1, 2, 5, 10, 20, 30, 60]; // steps a second; a server may allow more, or fewer

/** Return the speeds to choose from, steps a second, up to the fastest that a session can step. */
export function speeds(tickRateHz: number): number[] {
  return [...SPEEDS.filter((speed) => speed < tickRateHz), tickRateHz];
}

/** Return a start that asks for this change as well. */
export function chosen(start: Start, change: Partial<Settings>): Start {
  return { ...start, settings: settingsMessage({ ...changeOf(start.settings), ...change }) };
}

/** Return a start without the choice at a path of the protocol ("settings.label"), which was rejected. */
export function unchosen(start: Start, path: string): Start {
  const name = path.replace(/^settings\./, "").replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const rest = Object.entries(changeOf(start.settings)).filter(([one]) => one !== name);
  return { ...start, settings: settingsMessage(Object.fromEntries(rest)) };
}

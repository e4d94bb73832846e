/**
 * A recipe: how a picture came to be, so exactly that it comes to be again (`recipes/recipe.py`).
 *
 * The start, the commands that touch the picture and the steps before which they were applied are all there is to
 * it; when they were sent, how fast the session ran and where it paused is not.
 */

import { create } from "@bufbuild/protobuf";
import { type Origin, type Start, StartSchema } from "../diffusion_toy/v1/denoise_pb.ts";
import {
  type Command, disc, inject, InjectionRule, Motion, NoiseKind, type Settings, settingsMessage, step,
} from "../contract/messages.ts";

export const STEPS_MAX = 1_000_000;

/** Covers no pixel; counts as an injection. */
export const NOTHING: Command = inject(disc(0, 0, 1e-6), 1, NoiseKind.GAUSSIAN, InjectionRule.TRUTH);

/**
 * Something that was done before this step was taken.
 *
 * A `play` says in which direction this step and those after it go, in reverse before the first; a `step` is one of
 * a disc, and takes this step; a `jump` is one to a higher time step, which noises. `undone` says how many
 * injections were taken back here: their numbers are spent.
 */
export interface Entry {
  step: number;
  what: Command | { case: "undone"; injections: number };
}

export interface Recipe {
  model: string;
  fingerprint: string; // of the model's weights; others give another picture
  seed: bigint;
  origin: Origin | undefined;
  settings: Partial<Settings>; // without the speed
  entries: readonly Entry[];
  steps: number; // that the session has taken since its start
  inexact: string; // why it may come out differently, "" if it does not
}

/** Yield all commands that make the picture from a session paused at its start, with their steps. */
export function* commandsOf(recipe: Recipe): Generator<{ at: number; command: Command }> {
  let direction = Motion.REVERSE;
  let now = 0;
  for (const { step: at, what } of recipe.entries) {
    for (; now < at; now++) yield { at: now, command: step(direction) };
    if (what.case === "play") {
      direction = what.value.direction;
    } else if (what.case === "undone") {
      for (let n = 0; n < what.injections; n++) yield { at, command: NOTHING };
    } else {
      yield { at, command: what };
      if (what.case === "step") now += 1;
    }
  }
  for (; now < recipe.steps; now++) yield { at: now, command: step(direction) };
}

/** Whether a command changes nothing but how fast a session runs. */
export function isOfSpeed(command: Command): boolean {
  if (command.case !== "configure") return false;
  const settings = command.value.settings;
  if (!settings) return true;
  const { label, guidance, stride, numTimeSteps, eta, schedule, sampler } = settings;
  return [label, guidance, stride, numTimeSteps, eta].every((one) => one === undefined) && !schedule && !sampler;
}

/** Return the session on which a recipe's commands make its picture. */
export function sessionOf(recipe: Recipe, model: string): Start {
  return create(StartSchema, {
    model,
    seed: recipe.seed,
    ...(recipe.origin ? { origin: recipe.origin } : {}),
    settings: settingsMessage(recipe.settings),
    motion: Motion.PAUSED,
  });
}

/** Rebuilds what the server has made of a row of commands, as far as it matters to the picture. */

import { equals } from "@bufbuild/protobuf";
import { InjectSchema, type Origin } from "../diffusion_toy/v1/denoise_pb.ts";
import {
  changeOf, type Command, configure, Motion, play, type Settings,
} from "../contract/messages.ts";
import { remembers } from "../core/samplers.ts";
import type { NoRecipe } from "./command_log.ts";
import { type Entry, NOTHING } from "./recipe.ts";

/** A command that was sent. */
export interface Logged {
  sequence: number;
  command: Command;
  step: number | undefined; // before which it was applied; undefined as long as it is not known to have been
  told: boolean; // the server has named the step; otherwise it is an upper bound
  rejected: boolean;
}

/** How a run starts; `unknown` says why it has no recipe: "elsewhere" where its origin is not known. */
export interface RunStart {
  seed: bigint;
  origin: Origin | undefined;
  settings: Settings;
  motion: Motion;
  unknown: NoRecipe | "";
}

export class Reconstruction {
  entries: Entry[] = [];
  step = 0;
  doubt = ""; // why the recipe may not be exact
  runStart: RunStart;
  settings: Settings;
  #motion = Motion.REVERSE; // what the session does by itself
  #single: Extract<Command, { case: "step" }> | undefined; // what it does next, before it pauses
  #direction = Motion.REVERSE; // of the steps, by the entries
  #numbered = 0; // injections that the session has counted
  #untold = 0;

  constructor(runStart: RunStart) {
    this.runStart = runStart;
    this.settings = runStart.settings;
    this.#begin(runStart);
  }

  #begin(runStart: RunStart): void {
    this.runStart = runStart;
    this.entries = [];
    this.step = 0;
    this.doubt = "";
    this.settings = runStart.settings;
    this.#motion = runStart.motion;
    this.#single = undefined;
    this.#direction = Motion.REVERSE;
    this.#numbered = 0;
    this.#untold = 0;
  }

  /** Go through commands that have been applied, up to a frame of this step. */
  read(commands: readonly Logged[], step: number): void {
    commands.forEach((logged, number) => {
      const following = commands[number + 1]?.step ?? step;
      this.#reach(logged.step!);
      if (!logged.told) {
        this.#untold += 1;
        this.doubt = `the server did not say when ${this.#untold} of the commands took effect`;
      }
      this.#apply(logged.command, following);
    });
    this.#reach(step);
  }

  /** Take all steps before this one. */
  #reach(step: number): void {
    if (step > this.step) {
      if (this.#single?.value.disc) this.entries.push({ step: this.step, what: this.#single });
      else if (this.#single) this.#go(this.#single.value.direction);
      else if (this.#motion !== Motion.PAUSED) this.#go(this.#motion);
      if (this.#motion === Motion.PAUSED && step > this.step + (this.#single ? 1 : 0)) {
        this.doubt ||= "the session has taken steps of which it is not known why";
      }
      this.step = step;
    } else if (step < this.step) {
      this.doubt ||= "the session has gone back, and it is not known why";
    }
    this.#single = undefined;
  }

  #go(direction: Motion): void {
    if (direction === this.#direction) return;
    this.#add(play(direction));
    this.#direction = direction;
  }

  /** Apply a command at the present step; the next one was applied at step `following`. */
  #apply(command: Command, following: number): void {
    switch (command.case) {
      case "play":
        this.#motion = command.value.direction;
        break;
      case "pause":
        this.#motion = Motion.PAUSED;
        break;
      case "step":
        this.#motion = Motion.PAUSED;
        this.#single = command;
        break;
      case "inject":
        this.#numbered += 1;
        if (NOTHING.case === "inject" && equals(InjectSchema, command.value, NOTHING.value)) this.#addUndone(1);
        else this.#add(command);
        break;
      case "configure": {
        const before = this.settings;
        this.settings = { ...before, ...changeOf(command.value.settings) };
        this.#addChange(before);
        break;
      }
      case "back":
        this.#returnTo(this.step - 1);
        break;
      case "jump": {
        this.#motion = Motion.PAUSED;
        const { target } = command.value;
        const at = target.case === "step" ? Number(target.value) : following; // it stays there until the next
        if (at < this.step) {
          this.#returnTo(at);
        } else if (target.case === "timeStep") {
          this.#numbered += 1;
          this.#add(command);
        }
        break;
      }
      case "restart": {
        const { seed, origin } = command.value;
        const now = this.runStart;
        this.#begin({
          seed: seed ?? now.seed,
          origin: origin ?? now.origin,
          settings: this.settings,
          motion: Motion.REVERSE,
          unknown: origin || now.unknown !== "elsewhere" ? "" : now.unknown,
        });
      }
    }
  }

  #add(what: Entry["what"]): void {
    this.entries.push({ step: this.step, what });
  }

  #addUndone(injections: number): void {
    const last = this.entries.at(-1);
    if (last?.step === this.step && last.what.case === "undone") {
      this.entries.pop();
      injections += last.what.injections;
    }
    this.#add({ case: "undone", injections });
  }

  /**
   * Note those of the new settings that the picture depends on.
   *
   * A multistep sampler takes its next step without the one before after any change, even of the speed.
   */
  #addChange(before: Settings): void {
    const changed: Partial<Settings> = {};
    for (const name of Object.keys(before) as (keyof Settings)[]) {
      // what differs by less than float32 is the same to the server
      if (name === "stepsPerSecond" || Math.fround(before[name]) === Math.fround(this.settings[name])) continue;
      Object.assign(changed, { [name]: this.settings[name] });
    }
    const last = this.entries.at(-1);
    const forgotten = last?.step === this.step && ["inject", "configure", "undone"].includes(last.what.case);
    if (Object.keys(changed).length || (remembers(this.settings.sampler) && !forgotten)) this.#add(configure(changed));
  }

  /** Take back the state before this step; settings and numbers stay as they are. */
  #returnTo(step: number): void {
    const stays = ({ step: at, what }: Entry): boolean =>
      at < step || (at === step && what.case !== "play" && what.case !== "step");
    this.entries = this.entries.filter(stays);
    this.step = step;
    this.#motion = Motion.PAUSED;
    let settings = this.runStart.settings;
    let counted = 0;
    this.#direction = Motion.REVERSE;
    for (const { what } of this.entries) {
      if (what.case === "configure") settings = { ...settings, ...changeOf(what.value.settings) };
      else if (what.case === "play") this.#direction = what.value.direction;
      else if (what.case === "inject" || what.case === "jump") counted += 1;
      else if (what.case === "undone") counted += what.injections;
    }
    if (this.#numbered > counted) this.#addUndone(this.#numbered - counted);
    this.#addChange(settings);
  }
}

/** The page gives the same answers as the viewer: the cases are the viewer's own. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import golden from "../../tests/golden/cases.json";
import { DenoiseRequestSchema, SettingsSchema, StartSchema } from "../src/diffusion_toy/v1/denoise_pb.ts";
import { type Command, type Frame, InjectionRule, Motion, NoiseKind } from "../src/contract/messages.ts";
import { bytesOf, COLOR_MAPS, heat, paint, paintNoise } from "../src/core/colormaps.ts";
import { Drawing } from "../src/core/drawing.ts";
import { cover } from "../src/core/feedback.ts";
import { Film } from "../src/core/film.ts";
import { noiseShape, warns } from "../src/core/gauge.ts";
import { density, residualOf } from "../src/core/residual.ts";
import { SAMPLERS } from "../src/core/options.ts";
import { isStochastic, remembers } from "../src/core/samplers.ts";
import { Schedule } from "../src/core/schedule.ts";
import { type Dab, merged, type MouseMode, type Point, Stroke } from "../src/core/strokes.ts";
import { ViewModel } from "../src/core/view_model.ts";
import { windowFor } from "../src/link/retries.ts";
import { CommandLog } from "../src/recipes/command_log.ts";
import { fromText, toText } from "../src/recipes/text.ts";
import { start } from "../src/contract/messages.ts";
import { sentence } from "../src/ui/gauge.ts";
import { en } from "../src/words/en.ts";
import { frame, welcome } from "./frames.ts";

const CLOSE = 1e-5;

function close(found: Iterable<number>, expected: readonly number[], off = CLOSE): void {
  const numbers = [...found];
  assert.equal(numbers.length, expected.length);
  numbers.forEach((one, i) => {
    assert.ok(Math.abs(one - expected[i]!) <= off, `${one} instead of ${expected[i]} at ${i}`);
  });
}

interface PlainDab {
  center: number[] | null;
  radius: number;
  amount: number;
}

function dabOf({ center, radius, amount }: PlainDab): Dab {
  return { center: center ? [center[0]!, center[1]!] : undefined, radius, amount };
}

function sameDabs(found: readonly Dab[], expected: readonly PlainDab[]): void {
  assert.equal(found.length, expected.length);
  const flat = (dab: Dab): number[] => [...(dab.center ?? []), dab.radius, dab.amount];
  found.forEach((dab, i) => {
    close(flat(dab), flat(dabOf(expected[i]!)));
  });
}

test("strokes leave the same dabs", () => {
  for (const { mode, radius, strength, path, dabs } of golden.strokes) {
    const stroke = new Stroke();
    path.forEach((point, i) => {
      if (point === null) stroke.lift();
      else sameDabs(stroke.move(point as unknown as Point, mode as MouseMode, radius, strength), dabs[i]!);
    });
  }
});

test("strokes make the same drawing", () => {
  for (const { shape, width, strokes, content } of golden.drawings) {
    const drawing = new Drawing({ channels: shape[0]!, height: shape[1]!, width: shape[2]! });
    drawing.width = width;
    for (const one of strokes) {
      if (one === null) drawing.lift();
      else drawing.stroke(one[0] as unknown as Point, one[1] as unknown as boolean);
    }
    close(drawing.content(), content, 1);
  }
});

test("dabs that wait are merged alike", () => {
  for (const { dabs, limit, merged: expected } of golden.merges) sameDabs(merged(dabs.map(dabOf), limit), expected);
});

test("a disc covers the same pixels", () => {
  for (const { disc, height, width, inside } of golden.discs) {
    const found = new Uint8Array(height * width);
    cover(found, disc, { height, width });
    assert.deepEqual([...found], inside);
  }
});

/** Return RGB of RGBA. */
function rgb(target: Uint8ClampedArray): number[] {
  return [...target].filter((_, i) => i % 4 !== 3);
}

test("values have the same colours", () => {
  const { values, maps, rgb_maps: rgbMaps, eps, known, noise, shares, heated } = golden.colors;
  const shape = { channels: 1, height: 3, width: 4 };
  const target = new Uint8ClampedArray(48);
  for (const map of COLOR_MAPS) {
    paint(target, bytesOf(Float32Array.from(values)), shape, map);
    assert.deepEqual(rgb(target), maps[map]);
    paint(target, bytesOf(Float32Array.from(golden.colors.rgb)), { ...shape, channels: 3 }, map);
    assert.deepEqual(rgb(target), rgbMaps[map]);
  }
  paintNoise(target, Float32Array.from(eps), Uint8Array.from(known), shape);
  assert.deepEqual(rgb(target), noise);
  paint(target, bytesOf(Float32Array.from(values)), shape, "grey");
  heat(target, Float32Array.from(shares));
  close(rgb(target), heated, 1);
});

test("samplers have the same rules", () => {
  assert.deepEqual(golden.samplers.map((one) => one.sampler), SAMPLERS);
  golden.samplers.forEach(({ remembers: expected, steps }, i) => {
    const sampler = SAMPLERS[i]!;
    assert.equal(remembers(sampler), expected);
    for (const { eta, stochastic } of steps) assert.equal(isStochastic(sampler, eta), stochastic);
  });
});

test("levels have the same time steps", () => {
  for (const { alphas_cumprod: table, levels, time_steps: expected } of golden.time_steps) {
    const schedule = new Schedule(table);
    close(levels.map((level) => schedule.timeStepOf(level)), expected);
  }
});

test("ε̂ and its histogram are the same", () => {
  for (const one of golden.residuals) {
    const seen = frame(150, {
      xT: Float32Array.from(one.x_t),
      x0Hat: Float32Array.from(one.x0_hat),
      levelMap: one.level_map ? Float32Array.from(one.level_map) : undefined,
    });
    const residual = residualOf(seen, { channels: 1, height: 4, width: 4 });
    close(residual.eps, one.eps, 1e-4);
    assert.deepEqual([...residual.known], one.known);
    close(density(residual), one.density);
  }
});

test("the gauge finds and says the same", () => {
  for (const one of golden.gauges) {
    const model = new ViewModel(start({}));
    const seen: Frame = frame(150, {
      nominal: one.told,
      actual: one.actual,
      levelMap: one.uneven ? new Float32Array(784).fill(0.5) : undefined,
      measuredByResidual: one.by_residual ?? undefined,
      measuredByBorder: one.by_border ?? undefined,
      excessKurtosis: one.kurtosis ?? undefined,
    });
    model.frame = seen;
    assert.equal(sentence(model, en), one.sentence);
    assert.equal(warns(seen), one.warns);
    for (const [values, [words, odd]] of Object.entries(one.shapes)) {
      const found = noiseShape(seen, Number(values));
      assert.deepEqual([en.shapes[found.shape], found.odd], [words, odd]);
    }
  }
});

test("the film keeps and shows the same stills", () => {
  for (const { name, frames, shown, since } of golden.films) {
    const film = new Film();
    for (const [step, t, seed, paused] of frames as [number, number, number, boolean][]) {
      film.add(frame(t, { step, seed: BigInt(seed), motion: paused ? Motion.PAUSED : Motion.REVERSE }));
    }
    for (const [count, steps] of Object.entries(shown)) {
      assert.deepEqual(film.shown(Number(count)).map((still) => still.step), steps, `${name}, ${count}`);
    }
    assert.deepEqual(film.timeStepsSince(100), since, name);
  }
});

test("round trips have the same windows", () => {
  for (const [seconds, window] of golden.windows) assert.equal(windowFor(seconds!), window);
});

// --- recipes ---

function play(log: CommandLog, event: Record<string, unknown>): void {
  if ("start" in event) {
    const begun = fromJson(StartSchema, event.start as JsonValue);
    log.askedFor(begun);
    log.welcomed(
      welcome({
        sessionId: event.session as string,
        seed: BigInt(event.seed as string),
        resumed: event.resumed as boolean,
        appliedSequence: BigInt(event.applied as number),
        settings: fromJson(SettingsSchema, event.settings as JsonValue),
      }),
    );
  } else if ("sent" in event) {
    const { request } = fromJson(DenoiseRequestSchema, event.request as JsonValue);
    log.sent(withDefaults(request as Command), event.sent as number);
  } else if ("frame" in event) {
    const applied = (event.applied as [number, number][]).map(([sequence, step]) => ({ sequence, step }));
    log.received(frame(0, { step: event.frame as number, applied, appliedSequence: event.up_to as number }));
  } else {
    log.rejected(event.rejected as number);
  }
}

/** Return a command as the page makes it, with the defaults that a recipe leaves out. */
function withDefaults(command: Command): Command {
  if (command.case === "inject") {
    command.value.kind ||= NoiseKind.GAUSSIAN;
    command.value.rule ||= InjectionRule.TRUTH;
  }
  return command;
}

/** Return what a recipe's text means, whatever it leaves to a default. */
function meaning(text: string): unknown {
  const recipe = fromText(text);
  return { ...recipe, origin: create(StartSchema, recipe.origin ? { origin: recipe.origin } : {}), text: undefined };
}

test("sessions have the same recipes", () => {
  for (const { name, events, recipe: expected } of golden.recipes) {
    const log = new CommandLog();
    for (const event of events) play(log, event);
    const recipe = log.recipe();
    if (expected === null) {
      assert.equal(typeof recipe, "string", name);
      continue;
    }
    assert.ok(typeof recipe !== "string", `${name}: ${recipe as string}`);
    assert.deepEqual(JSON.parse(toText(recipe)), JSON.parse(expected), name);
    assert.deepEqual(meaning(toText(recipe)), meaning(expected), name);
  }
});

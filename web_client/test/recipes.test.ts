/** Recipes as texts, links and replays. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { LimitsSchema, OriginSchema, RejectedSchema } from "../src/diffusion_toy/v1/denoise_pb.ts";
import {
  disc, inject, InjectionRule, Motion, NoiseKind, pause, play, restart, start, step,
} from "../src/contract/messages.ts";
import { CommandLog } from "../src/recipes/command_log.ts";
import { pack, readFragment, recipeLink, unpack, watchLink } from "../src/recipes/links.ts";
import { commandsOf, type Recipe } from "../src/recipes/recipe.ts";
import { Replay } from "../src/recipes/replay.ts";
import { fromText, RecipeError, TEXT_MAX_BYTES, toText } from "../src/recipes/text.ts";
import { textOf } from "../src/ui/menus.ts";
import { en } from "../src/words/en.ts";
import { frame, welcome } from "./frames.ts";

const DAB = inject(disc(0.1, 0.7, 0.2), 33.3, NoiseKind.LAPLACE, InjectionRule.NAIVE);
const RECIPE: Recipe = {
  model: "mnist",
  fingerprint: "f".repeat(16),
  seed: 2n ** 62n + 1n,
  origin: undefined,
  settings: { label: 3, stride: 2 },
  entries: [
    { step: 1, what: DAB },
    { step: 2, what: play(Motion.FORWARD) },
    { step: 2, what: { case: "undone", injections: 2 } },
    { step: 3, what: step(Motion.REVERSE, disc(0.5, 0.5, 0.1)) },
  ],
  steps: 5,
  inexact: "",
};
const LIMITS = create(LimitsSchema, { tickRateHz: 60, commandsPerSecond: 500 });

test("a recipe's text means the recipe, a seed of 63 bits included", () => {
  const again = fromText(toText(RECIPE));
  assert.equal(again.seed, RECIPE.seed);
  assert.deepEqual(again.settings, RECIPE.settings);
  assert.equal(toText(again), toText(RECIPE));
});

for (const [what, change] of [
  ["no JSON", () => "{"],
  ["another document", () => "{}"],
  ["another version", (text: string) => text.replace('recipe": 1', 'recipe": 2')],
  ["an unknown field", (text: string) => text.replace('"steps"', '"other": 1, "steps"')],
  ["steps out of order", (text: string) => text.replace('"at_step": 3', '"at_step": 0')],
  ["a command after the end", (text: string) => text.replace('"at_step": 3', '"at_step": 5')],
  ["a command that no recipe has", (text: string) => text.replace('"undone": {"injections": 2}', '"pause": {}')],
  ["a value of another kind", (text: string) => text.replace('"amount": 33.3', '"amount": "much"')],
] as const) {
  test(`${what} is refused as a recipe`, () => {
    assert.throws(() => fromText(change(toText(RECIPE))), RecipeError);
  });
}

test("a link holds a recipe, and a damaged one is refused", async () => {
  const text = toText(RECIPE);
  const packed = await pack(text);
  assert.match(packed, /^[\w-]+$/);
  const { recipe } = readFragment(new URL(recipeLink("http://host/", packed)).hash);
  assert.equal(await unpack(recipe, TEXT_MAX_BYTES), text);
  await assert.rejects(unpack(packed.slice(0, -9), TEXT_MAX_BYTES), RecipeError);
  await assert.rejects(unpack("%%%", TEXT_MAX_BYTES), RecipeError);
});

test("a link that grows beyond a recipe's size is refused", async () => {
  const packed = await pack(" ".repeat(2 * TEXT_MAX_BYTES));
  await assert.rejects(unpack(packed, TEXT_MAX_BYTES), /too large/);
});

test("a link to watch has the session and the token, in the fragment", () => {
  const link = new URL(watchLink("http://host/", "a b", "t&k"));
  assert.equal(link.search, "");
  assert.deepEqual(readFragment(link.hash), { token: "t&k", wall: "", watch: "a b", recipe: "" });
});

test("a recipe's commands take every step one by one, in its direction", () => {
  const steps = [...commandsOf(RECIPE)].map(({ at, command }) => [at, command.case]);
  assert.deepEqual(steps, [
    [0, "step"], [1, "inject"], [1, "step"], [2, "inject"], [2, "inject"], [2, "step"], [3, "step"], [4, "step"],
  ]);
  const last = [...commandsOf(RECIPE)].at(-1)!.command;
  assert.ok(last.case === "step" && last.value.direction === Motion.FORWARD);
});

test("a recipe that is too large is no text, and its picture says so", () => {
  const entries = Array.from({ length: 12_000 }, (_, at) => ({ step: at, what: DAB }));
  assert.deepEqual(textOf({ ...RECIPE, entries, steps: 12_000 }), { reason: "too large" });
  assert.deepEqual(textOf("watched"), { reason: "watched" });
  assert.deepEqual(textOf(RECIPE), { text: toText(RECIPE) });
  const said = "saved as a.png; without a recipe: the recipe of this run is larger than 1 MiB";
  assert.ok(en.saved("a.png", en.noRecipe["too large"]).startsWith(said));
  assert.equal(en.saved("a.png", ""), "saved as a.png");
});

for (const resumed of [false, true]) {
  test(`after too many commands a restart has a recipe${resumed ? " where its origin is known" : ""}`, () => {
    const log = new CommandLog();
    log.askedFor(start({ seed: 7n }));
    log.welcomed(welcome({ resumed }));
    let sequence = 1;
    const send = (command: typeof DAB): void => {
      log.sent(command, (sequence += 1));
      log.received(frame(300, { appliedSequence: sequence, applied: [{ sequence, step: 0 }] }));
    };
    for (let i = 0; i < 20_001; i++) send(DAB);
    assert.equal(log.recipe(), resumed ? "elsewhere" : "too many");
    send(restart());
    if (resumed) assert.equal(log.recipe(), "elsewhere");
    if (resumed) send(restart(7n, create(OriginSchema)));
    const recipe = log.recipe();
    assert.ok(typeof recipe === "object" && recipe.seed === 7n && recipe.entries.length === 0);
  });
}

/** Send what a replay wants at this time; return the numbers of the commands. */
function run(replay: Replay, now: number, first: number): number[] {
  const sent: number[] = [];
  for (let command = replay.next(now, LIMITS, 60); command; command = replay.next(now, LIMITS, 60)) {
    assert.ok(replay.sent(command, first + sent.length));
    sent.push(first + sent.length);
  }
  return sent;
}

test("a replay is done when every command was applied where it belongs", () => {
  const replay = new Replay(RECIPE, false);
  const sent = run(replay, 0, 2);
  assert.equal(sent.length, 8);
  const steps = [...commandsOf(RECIPE)].map(({ at }) => at);
  const applied = sent.map((sequence, i) => ({ sequence, step: steps[i]! }));
  replay.receive(frame(0, { step: 5, idle: true, applied, appliedSequence: 9 }));
  assert.ok(replay.done);
  assert.equal(replay.failure, undefined);
});

test("a replay fails where a command was applied elsewhere, or rejected", () => {
  const late = new Replay(RECIPE, false);
  run(late, 0, 2);
  late.receive(frame(0, { applied: [{ sequence: 3, step: 2 }], appliedSequence: 3 }));
  assert.deepEqual(late.failure, { at: 1, came: 2 });
  const rejected = new Replay(RECIPE, false);
  run(rejected, 0, 2);
  rejected.rejected(create(RejectedSchema, { sequence: 4n, message: "no" }));
  assert.deepEqual(rejected.failure, { message: "no" });
});

test("a pause holds a replay, anything else ends it", () => {
  const replay = new Replay(RECIPE, false);
  assert.deepEqual(replay.steer([pause()]), []);
  assert.equal(replay.next(0, LIMITS, 60), undefined);
  assert.deepEqual(replay.steer([play(Motion.REVERSE)]), []);
  assert.ok(replay.next(0, LIMITS, 60));
  assert.equal(replay.steer([DAB]), undefined);
});

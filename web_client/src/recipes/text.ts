/**
 * Recipes as text: the viewer's format (`files/recipe_text.py`), one JSON document with a command on each line.
 */

import { create, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { DenoiseRequestSchema, OriginSchema, SettingsSchema, StartSchema } from "../diffusion_toy/v1/denoise_pb.ts";
import { changeOf, SEED_MAX, settingsMessage } from "../contract/messages.ts";
import { type Entry, type Recipe, STEPS_MAX } from "./recipe.ts";

const FORMAT = "diffusion_toy_recipe";
const VERSION = 1;
export const TEXT_MAX_BYTES = 2 ** 20;
const KINDS = ["inject", "configure", "jump", "play", "step"];
const DEFAULTS: Record<string, string> = { kind: "NOISE_KIND_GAUSSIAN", rule: "INJECTION_RULE_TRUTH" };

/** There is no recipe, or none that this page can read. */
export class RecipeError extends Error {}

/** Return a recipe as text. Throws a `RecipeError` where it would be larger than 1 MiB. */
export function toText(recipe: Recipe): string {
  const start: JsonObject = {};
  start.origin = recipe.origin ? jsonOf(OriginSchema, recipe.origin) : {};
  const settings = jsonOf(SettingsSchema, settingsMessage(recipe.settings));
  const head: [string, string][] = [
    [FORMAT, String(VERSION)],
    ["model", written(recipe.model)],
    ["fingerprint", written(recipe.fingerprint)],
    // the seed has 63 bits, more than a number holds
    ["start", `{"origin": ${written(start.origin)}, "seed": ${recipe.seed}, "settings": ${written(settings)}}`],
    ["steps", String(recipe.steps)],
    ["exact", String(!recipe.inexact)],
  ];
  if (recipe.inexact) head.push(["reason", written(recipe.inexact)]);
  const lines = head.map(([name, value]) => `"${name}": ${value}`);
  const commands = recipe.entries.map((entry) => `    ${written(entryToJson(entry))}`).join(",\n");
  lines.push(commands ? `"commands": [\n${commands}\n  ]` : '"commands": []');
  const text = `{\n  ${lines.join(",\n  ")}\n}\n`;
  if (new TextEncoder().encode(text).length > TEXT_MAX_BYTES) throw new RecipeError("it is larger than 1 MiB");
  return text;
}

type Schema = Parameters<typeof toJson>[0];

function jsonOf(schema: Schema, message: Parameters<typeof toJson>[1]): JsonValue {
  return short(toJson(schema, message, { useProtoFieldName: true }));
}

/** Return JSON with each float as the shortest number that is the same float32. */
function short(value: JsonValue): JsonValue {
  if (typeof value === "number") {
    if (Number.isInteger(value)) return value;
    for (let digits = 1; digits <= 9; digits++) {
      const rounded = Number(value.toPrecision(digits));
      if (Math.fround(rounded) === Math.fround(value)) return rounded;
    }
    return value;
  }
  if (Array.isArray(value)) return value.map(short);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, short(one)]));
  }
  return value;
}

/** Return JSON in one line, with a space after each comma and colon. */
function written(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const fields = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${written(one)}`);
    return `{${fields.join(", ")}}`;
  }
  return JSON.stringify(value);
}

function entryToJson({ step, what }: Entry): JsonValue {
  if (what.case === "undone") return { at_step: step, undone: { injections: what.injections } };
  const message = create(DenoiseRequestSchema, { request: what });
  const json = jsonOf(DenoiseRequestSchema, message) as Record<string, JsonObject>;
  const body = json[what.case] ?? {};
  const told = Object.entries(body).filter(([name, value]) => value !== DEFAULTS[name]);
  return { at_step: step, [what.case]: Object.fromEntries(told) };
}

// --- reading ---

/** Return the recipe that a text holds. Throws a `RecipeError` that says what is wrong with it. */
export function fromText(text: string): Recipe {
  if (text.length > TEXT_MAX_BYTES) throw new RecipeError("it is larger than 1 MiB");
  let document: unknown;
  try {
    // the seed has 63 bits: read as text
    document = JSON.parse(text.replace(/^\uFEFF/, "").replace(/("seed"\s*:\s*)(\d{16,19})\b/g, '$1"$2"'));
  } catch {
    throw new RecipeError("it is not a JSON document");
  }
  const head = objectOf("it", document);
  if (!(FORMAT in head)) throw new RecipeError(`it does not begin with "${FORMAT}"`);
  if (head[FORMAT] !== VERSION) throw new RecipeError(`it is of version ${JSON.stringify(head[FORMAT])}`);
  try {
    return fromDocument(head);
  } catch (error) {
    throw error instanceof RecipeError ? error : new RecipeError(error instanceof Error ? error.message : "");
  }
}

function fromDocument(head: JsonObject): Recipe {
  checkNames("it", head, [FORMAT, "model", "fingerprint", "start", "steps", "exact", "reason", "commands"]);
  const start = objectOf("start", head.start);
  checkNames("start", start, ["seed", "origin", "settings"]);
  const message = fromJson(StartSchema, start);
  if (message.seed === undefined || message.seed > SEED_MAX) throw new RecipeError("it has no seed");
  const settings = changeOf(message.settings);
  if (settings.stepsPerSecond !== undefined) throw new RecipeError("start.settings has a speed");
  const steps = count("steps", head.steps);
  if (!Array.isArray(head.commands)) throw new RecipeError("commands is not a list");
  let least = 0;
  const entries = head.commands.map((one, number) => {
    const entry = entryOf(`commands[${number}]`, one, least, steps);
    least = entry.step + (entry.what.case === "step" ? 1 : 0);
    return entry;
  });
  return {
    model: textOf("model", head.model),
    fingerprint: textOf("fingerprint", head.fingerprint),
    seed: message.seed,
    origin: message.origin,
    settings,
    entries,
    steps,
    inexact: head.exact === true ? "" : textOf("reason", head.reason ?? "it is not said why"),
  };
}

function entryOf(path: string, value: unknown, least: number, steps: number): Entry {
  const document = objectOf(path, value);
  const { at_step: at, ...body } = document;
  const [kind, ...others] = Object.keys(body);
  if (!kind || others.length) throw new RecipeError(`${path} must have one command`);
  const last = kind === "step" ? steps - 1 : steps;
  const step = count(`${path}.at_step`, at);
  if (step < least || step > last) throw new RecipeError(`${path}.at_step ${step} is outside ${least}…${last}`);
  if (kind === "undone") {
    return { step, what: { case: "undone", injections: count(path, objectOf(path, body.undone).injections) } };
  }
  if (!KINDS.includes(kind)) throw new RecipeError(`${path} has ${kind}; it must have one of ${KINDS.join(", ")}`);
  const { request } = fromJson(DenoiseRequestSchema, body);
  switch (request.case) {
    case "inject":
    case "play":
      return { step, what: request };
    case "step":
      if (!request.value.disc) throw new RecipeError(`${path} is a step without a disc`);
      return { step, what: request };
    case "jump":
      if (request.value.target.case !== "timeStep") throw new RecipeError(`${path} jumps to a kept state`);
      return { step, what: request };
    case "configure":
      if (request.value.settings?.stepsPerSecond !== undefined) throw new RecipeError(`${path} has a speed`);
      return { step, what: request };
    default:
      throw new RecipeError(`${path} is no command`);
  }
}

function objectOf(path: string, value: unknown): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RecipeError(`${path} is not an object`);
  }
  return value as JsonObject;
}

function checkNames(path: string, given: JsonObject, names: readonly string[]): void {
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new RecipeError(`${path} has the unknown field "${unknown}"`);
}

function textOf(path: string, value: unknown): string {
  if (typeof value !== "string") throw new RecipeError(`${path} is not a text`);
  return value;
}

function count(path: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > STEPS_MAX) {
    throw new RecipeError(`${path} is not a whole number of 0…${STEPS_MAX}`);
  }
  return value;
}

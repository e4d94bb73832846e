/** The one thing in which a twin differs, and what there is to say about it (`experiments/difference.py`). */

import { type Command, InjectionRule, NO_LABEL, NoiseKind, Sampler } from "../contract/messages.ts";
import { injection, KINDS, RULES } from "../core/brush.ts";
import { SAMPLERS } from "../core/options.ts";
import type { Dab } from "../core/strokes.ts";

const LABEL_OF_TWIN = 7; // where the person's own session draws any class
// root mean square difference of two guesses in [−1, 1]
const EQUAL = 0.01;
const DIFFERENT = 0.35;

/** How a session is treated, as far as a twin may differ: `kind` and `rule` are of the strokes. */
export interface Treatment {
  kind: NoiseKind;
  rule: InjectionRule;
  sampler: Sampler;
  label: number;
}
export type Difference = keyof Treatment;
export const DIFFERENCES: readonly Difference[] = ["kind", "rule", "sampler", "label"];

/** Return the command by which a session that is treated like this gets a dab. */
export function dabOf({ kind, rule }: Treatment, dab: Dab): Command {
  return injection(dab, kind, rule);
}

/** Return all values of one thing. */
export function valuesOf(what: Difference, classes: number): readonly number[] {
  const values = { kind: KINDS, rule: RULES, sampler: SAMPLERS };
  return what === "label" ? Array.from({ length: classes + 1 }, (_, i) => i + NO_LABEL) : values[what];
}

/** Return the twin that shows most: constant noise, the rule naive, DDIM, the class 7 or any. */
export function firstTwin(own: Treatment, what: Difference, classes: number): Treatment {
  const first = {
    kind: [NoiseKind.CONSTANT, NoiseKind.GAUSSIAN],
    rule: [InjectionRule.NAIVE, InjectionRule.TRUTH],
    sampler: [Sampler.DDIM, Sampler.DDPM],
    label: [Math.min(LABEL_OF_TWIN, classes - 1), NO_LABEL],
  };
  const [chosen, other] = first[what];
  return { ...own, [what]: own[what] === chosen ? other : chosen };
}

/** Return the twin with the next value that is not the session's own; the last leads to the first. */
export function nextTwin(own: Treatment, twin: Treatment, what: Difference, classes: number): Treatment {
  const values = valuesOf(what, classes).filter((one) => one !== own[what]);
  return { ...own, [what]: values[(values.indexOf(twin[what]) + 1) % values.length] };
}

/** Return the root mean square of the difference of two pictures. */
export function rootMeanSquare(one: Float32Array, other: Float32Array): number {
  return Math.sqrt(one.reduce((sum, value, i) => sum + (other[i]! - value) ** 2, 0) / one.length);
}

/** Return what the difference of the guesses says; `touched`: both got a stroke. */
export function meaningOf(rms: number, what: Difference, touched: boolean): "not yet" | "none" | "alike" | "two" {
  if (rms >= DIFFERENT) return "two";
  if (rms >= EQUAL) return "alike";
  return (what === "kind" || what === "rule") && !touched ? "not yet" : "none";
}

/**
 * The gauge: whether told, actual and measured levels agree, and whether the noise is Gaussian.
 *
 * It gives findings; `words` has the sentences for them, in English those of the viewer's `core/gauge.py`.
 */

import type { Frame, Range } from "../contract/messages.ts";

const LEVEL_TOLERANCE = 0.01; // told and actual levels that differ by less count as equal
const RESIDUAL_TOLERANCE = 0.04; // the shipped model's residual reads real pictures to ±0.02
const BORDER_TOLERANCE = 0.03; // the border is 108 pixels: four of its standard errors
const BORDER_TOLERANCE_SHARE = 0.3;
const KURTOSIS_TOLERANCE = 0.75; // at the least: what the network itself adds to that of Gaussian noise
const KURTOSIS_ERRORS = 4; // standard errors, √(24/n), that count as chance
const FEW_VALUES = 400; // of which the shape says little

export type Told =
  | "truth" | "pure noise" | "clean" | "uneven"
  | "noisier" | "parts noisier" | "cleaner" | "parts cleaner" | "mixed"
  | "hidden noise" | "parts hidden noise" | "imagined noise";

/** Whether what the network is told agrees with the picture, and what the pixels say of both. */
export interface Finding {
  told: Told;
  measured: "noisier" | "cleaner" | undefined; // undefined where it agrees
  agree: boolean; // told and actual levels agree
}

export function finding(frame: Frame): Finding {
  const agree = Math.abs(noiseDifference(frame)) < LEVEL_TOLERANCE;
  return { told: toldAndActual(frame), measured: measuredOddly(frame), agree };
}

function toldAndActual(frame: Frame): Told {
  const { nominal: told, actual: real } = frame;
  const differences = differencesOf(told, real);
  const noisier = Math.max(...differences) >= LEVEL_TOLERANCE;
  const cleaner = Math.min(...differences) <= -LEVEL_TOLERANCE;
  if (noisier && cleaner) return "mixed";
  const whole = !frame.levelMap && real.max - real.min < LEVEL_TOLERANCE;
  if (noisier) {
    if (told.max < LEVEL_TOLERANCE) return whole ? "hidden noise" : "parts hidden noise";
    return whole ? "noisier" : "parts noisier";
  }
  if (cleaner) {
    if (real.max < LEVEL_TOLERANCE) return "imagined noise";
    return whole ? "cleaner" : "parts cleaner";
  }
  if (told.max < LEVEL_TOLERANCE) return "clean";
  if (!whole) return "uneven";
  return told.min > 1 - LEVEL_TOLERANCE ? "pure noise" : "truth";
}

/** Whether the told, actual and measured levels disagree. */
export function warns(frame: Frame): boolean {
  return Math.abs(noiseDifference(frame)) >= LEVEL_TOLERANCE || measuredOddly(frame) !== undefined;
}

/** Return the level that was measured, by the surer method that says something; undefined where levels differ. */
export function measuredLevel(frame: Frame): number | undefined {
  return frame.levelMap ? undefined : frame.measuredByResidual ?? frame.measuredByBorder;
}

function measuredOddly(frame: Frame): "noisier" | "cleaner" | undefined {
  const measured = measuredLevel(frame);
  const real = frame.actual.mean;
  if (measured === undefined) return undefined;
  let [low, high] = [real, real];
  let tolerance = BORDER_TOLERANCE + BORDER_TOLERANCE_SHARE * real;
  if (frame.measuredByResidual !== undefined) {
    // measured with a guess that believes what it is told, so between the levels told and actual
    [low, high] = [Math.min(real, frame.nominal.mean), Math.max(real, frame.nominal.mean)];
    tolerance = RESIDUAL_TOLERANCE;
  }
  if (measured > high + tolerance) return "noisier";
  return measured < low - tolerance ? "cleaner" : undefined;
}

function differencesOf(told: Range, real: Range): [number, number, number] {
  return [real.mean - told.mean, real.max - told.max, real.min - told.min];
}

/** Return actual minus told level, of the mean or of the extremes, whichever differ most. */
export function noiseDifference(frame: Frame): number {
  const differences = differencesOf(frame.nominal, frame.actual);
  return differences.reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most));
}

export type Shape = "none" | "too few" | "heavier" | "flatter" | "Gaussian" | "Gaussian, few";

/** Return what ε̂, of so many values, looks like, and whether that is odd. */
export function noiseShape(frame: Frame, values: number): { shape: Shape; odd: boolean } {
  const kurtosis = frame.excessKurtosis;
  if (values === 0) return { shape: "none", odd: false };
  if (kurtosis === undefined) return { shape: "too few", odd: false };
  const tolerance = Math.max(KURTOSIS_TOLERANCE, KURTOSIS_ERRORS * Math.sqrt(24 / values));
  if (Math.abs(kurtosis) > tolerance) return { shape: kurtosis > 0 ? "heavier" : "flatter", odd: true };
  return { shape: values >= FEW_VALUES ? "Gaussian" : "Gaussian, few", odd: false };
}

/** ε̂, the noise that the network sees in a frame, and how its values are spread. */

import type { Frame, Shape } from "../contract/messages.ts";
import { alpha, sigma } from "./schedule.ts";

const NOISY = 0.02; // σ = √(1 − ᾱ) above which ε̂ says something
export const BINS = 32;
export const LIMIT = 4; // of the histogram, over −LIMIT … LIMIT
const BIN_WIDTH = (2 * LIMIT) / BINS;

/** What x_t holds beside the network's guess, in units of the noise it is told of. */
export interface Residual {
  eps: Float32Array; // (C, H, W); 0 where not known
  known: Uint8Array; // (H, W); 1 where σ > 0.02
  count: number; // of known values
}

/** Return ε̂ = (x_t − α·x̂0)/σ of a frame, from the nominal level of each pixel. */
export function residualOf(frame: Frame, shape: Shape): Residual {
  const pixels = shape.height * shape.width;
  const eps = new Float32Array(shape.channels * pixels);
  const known = new Uint8Array(pixels);
  const level = frame.nominal.mean;
  let [a, s] = [alpha(level), sigma(level)];
  let count = 0;
  for (let i = 0; i < pixels; i++) {
    if (frame.levelMap) [a, s] = [alpha(frame.levelMap[i]!), sigma(frame.levelMap[i]!)];
    if (!(s > NOISY)) continue;
    known[i] = 1;
    count += shape.channels;
    for (let c = 0; c < shape.channels; c++) {
      const at = c * pixels + i;
      eps[at] = (frame.xT[at]! - a * frame.x0Hat[at]!) / s;
    }
  }
  return { eps, known, count };
}

/** Return the histogram of the known values as a density; those beyond ±LIMIT are at the ends. */
export function density(residual: Residual): Float64Array {
  const bins = new Float64Array(BINS);
  const pixels = residual.known.length;
  for (let at = 0; at < residual.eps.length; at++) {
    if (!residual.known[at % pixels]) continue;
    const place = Math.floor(Math.min(Math.max((residual.eps[at]! + LIMIT) / BIN_WIDTH, 0), BINS - 1));
    bins[place] = bins[place]! + 1;
  }
  return residual.count ? bins.map((number) => number / (residual.count * BIN_WIDTH)) : bins;
}

/** Return the standard normal curve: exp(−z²/2)/√(2π). */
export function normalDensity(z: number): number {
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** From values to colours: the viewer's maps (`core/colormaps.py`), checked by the cases in `tests/golden`. */

import type { Shape } from "../contract/messages.ts";

export const COLOR_MAPS = ["grey", "ink on paper", "viridis", "diverging"] as const;
export type ColorMap = (typeof COLOR_MAPS)[number];
export const NOISE_LIMIT = 3; // standard deviations of ε̂ at the ends of its colours
const HEAT_LEAST = 0.25; // weight of the layer over the picture, where t is least …
const HEAT_MOST = 0.7; // … and where it is most
const UNKNOWN = [30, 32, 39] as const; // where there is nothing to show a value of

type Color = readonly [number, number, number];
export type Table = Uint8Array; // 256 colours of three bytes, from the least value to the greatest

/** Return the colours between evenly spaced anchors. */
function table(...anchors: Color[]): Table {
  const colors = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (anchors.length - 1);
    const left = Math.min(Math.floor(place), anchors.length - 2);
    for (let c = 0; c < 3; c++) {
      const [from, to] = [anchors[left]![c]!, anchors[left + 1]![c]!];
      colors[3 * i + c] = roundHalfEven(from + (to - from) * (place - left));
    }
  }
  return colors;
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

export const TABLES: Record<ColorMap, Table> = {
  grey: table([0, 0, 0], [255, 255, 255]),
  "ink on paper": table([244, 239, 228], [20, 28, 60]),
  viridis: table(
    [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
    [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37],
  ),
  diverging: table([14, 36, 104], [54, 98, 178], [132, 134, 140], [232, 160, 84], [255, 230, 178]),
};
const HEAT = table([38, 40, 92], [104, 48, 130], [176, 62, 122], [232, 106, 80], [252, 206, 120]);

/** Return a value in [−1, 1] as 0…255; what lies outside is cut off. */
export function byteOf(value: number): number {
  // float32 as the viewer's, so that both show the same bytes
  const scaled = Math.fround(Math.fround(Math.fround(value + 1) * 127.5) + 0.5);
  return scaled <= 0 ? 0 : scaled >= 255 ? 255 : Math.floor(scaled);
}

/** Return values in [−1, 1] as bytes. */
export function bytesOf(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = byteOf(values[i]!); // many times faster than `Uint8Array.from`
  return bytes;
}

/**
 * Write a picture (C, H, W) of bytes as RGBA.
 *
 * One channel takes the colours of the map. Three are colours already: only ink changes them, to their negative.
 */
export function paint(target: Uint8ClampedArray, bytes: Uint8Array, shape: Shape, map: ColorMap): void {
  const pixels = shape.height * shape.width;
  const colors = TABLES[map];
  for (let i = 0; i < pixels; i++) {
    const at = 4 * i;
    if (shape.channels === 1) {
      const place = 3 * bytes[i]!;
      target[at] = colors[place]!;
      target[at + 1] = colors[place + 1]!;
      target[at + 2] = colors[place + 2]!;
    } else {
      for (let c = 0; c < 3; c++) {
        const byte = bytes[c * pixels + i]!;
        target[at + c] = map === "ink on paper" ? 255 - byte : byte;
      }
    }
    target[at + 3] = 255;
  }
}

/** Write ε̂ (C, H, W) around 0, cut off at ±`NOISE_LIMIT`, as RGBA; neutral where it is not known. */
export function paintNoise(target: Uint8ClampedArray, eps: Float32Array, known: Uint8Array, shape: Shape): void {
  paint(target, bytesOf(eps.map((value) => value / NOISE_LIMIT)), shape, "diverging");
  for (let i = 0; i < known.length; i++) {
    if (!known[i]) target.set(UNKNOWN, 4 * i);
  }
}

/** Lay a translucent layer of time steps over RGBA; `shares` is t/T of each pixel. */
export function heat(target: Uint8ClampedArray, shares: Float32Array): void {
  for (let i = 0; i < shares.length; i++) {
    const place = Math.sqrt(Math.min(Math.max(shares[i]!, 0), 1));
    if (place === 0) continue;
    const weight = HEAT_LEAST + (HEAT_MOST - HEAT_LEAST) * place;
    const color = 3 * Math.floor(place * 255 + 0.5);
    for (let c = 0; c < 3; c++) {
      target[4 * i + c] = target[4 * i + c]! * (1 - weight) + HEAT[color + c]! * weight;
    }
  }
}

/** Grey RGBA, as it is shown while the connection is lost. */
export function dim(target: Uint8ClampedArray): void {
  for (let i = 0; i < target.length; i++) {
    if (i % 4 !== 3) target[i] = Math.floor(target[i]! / 3) + 40;
  }
}

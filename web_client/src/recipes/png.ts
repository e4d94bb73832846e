/** A picture of a moment as a PNG that carries its recipe, as the viewer's `files/png.py` writes it. */

import type { Frame, Shape } from "../contract/messages.ts";
import { bytesOf, type ColorMap, paint, paintNoise } from "../core/colormaps.ts";
import { residualOf } from "../core/residual.ts";
import { through } from "./links.ts";

export const RECIPE_KEY = "diffusion-toy-recipe";
const SCALE = 8;
const GAP = 8; // pixels
const GAP_GREY = 72;
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array; // (height, width, 3)
}

/** Return x_t, x̂0 and ε̂ side by side, each pixel 8 × 8. */
export function pictureOf(frame: Frame, shape: Shape, map: ColorMap): Picture {
  const residual = residualOf(frame, shape);
  const panes = [0, 1, 2].map(() => new Uint8ClampedArray(4 * shape.width * shape.height));
  paint(panes[0]!, bytesOf(frame.xT), shape, map);
  paint(panes[1]!, bytesOf(frame.x0Hat), shape, map);
  paintNoise(panes[2]!, residual.eps, residual.known, shape);
  const pane = shape.width * SCALE;
  const width = 3 * pane + 2 * GAP;
  const height = shape.height * SCALE;
  const rgb = new Uint8Array(width * height * 3).fill(GAP_GREY);
  for (let y = 0; y < height; y++) {
    for (const [number, pixels] of panes.entries()) {
      for (let x = 0; x < pane; x++) {
        const from = 4 * (Math.floor(y / SCALE) * shape.width + Math.floor(x / SCALE));
        rgb.set(pixels.subarray(from, from + 3), 3 * (y * width + number * (pane + GAP) + x));
      }
    }
  }
  return { width, height, rgb };
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function chunk(name: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(content, 8);
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, 8 + content.length)) crc = CRC[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  view.setUint32(8 + content.length, (crc ^ 0xffffffff) >>> 0);
  return bytes;
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return through(bytes, new CompressionStream("deflate")); // zlib's format, which is PNG's
}

/** Return the chunk of a text in UTF-8 (PNG, iTXt): keyword, compressed, zlib, no language, no translation. */
async function textChunk(keyword: string, text: string): Promise<Uint8Array> {
  const bytes = new TextEncoder();
  const head = joined(bytes.encode(keyword), Uint8Array.of(0, 1, 0, 0, 0));
  return chunk("iTXt", joined(head, await deflated(bytes.encode(text))));
}

/** Return a PNG with description and recipe in its metadata; a recipe of "" is none. */
export async function encode(picture: Picture, description: string, recipe: string): Promise<Blob> {
  const { width, height, rgb } = picture;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8); // eight bits, RGB
  const rows = new Uint8Array(height * (3 * width + 1)); // each with its filter's number before it, 0: none
  for (let y = 0; y < height; y++) {
    rows.set(rgb.subarray(3 * width * y, 3 * width * (y + 1)), y * (3 * width + 1) + 1);
  }
  const texts = [await textChunk("Description", description)];
  if (recipe) texts.push(await textChunk(RECIPE_KEY, recipe));
  const image = chunk("IDAT", await deflated(rows));
  const file = joined(
    Uint8Array.from(SIGNATURE), chunk("IHDR", header), ...texts, image, chunk("IEND", new Uint8Array(0)),
  );
  return new Blob([file], { type: "image/png" });
}

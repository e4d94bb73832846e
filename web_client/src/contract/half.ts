/** Half floats, as frames carry them: IEEE 754 binary16, little endian. */

let table: Float32Array | undefined;

/** Return the number that 16 bits stand for. */
function decode(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Return the values of a field of half floats. A trailing odd byte is ignored. */
export function floatsOfHalves(bytes: Uint8Array): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => decode(bits));
  const values = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < values.length; i++) {
    values[i] = table[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
  }
  return values;
}

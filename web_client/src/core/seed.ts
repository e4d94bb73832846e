/** Seeds that are drawn for people. */

const SEED_DRAW_MAX = 99_999; // short enough to be read out in a class

export function drawSeed(): bigint {
  return BigInt(Math.floor(Math.random() * (SEED_DRAW_MAX + 1)));
}

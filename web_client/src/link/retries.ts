/** When to try again, and how many frames may be on their way (`link/status.py`). */

const DELAYS_S = [0, 0.1, 0.25, 0.5, 1, 2, 4]; // before the first try, the second, …; the last stays
const JITTER = 0.2; // of a wait, up or down
const STEADY_S = 1; // a session that lasted so long is not part of a row of failures
const FRAME_RATE_HZ = 60;
const RENDER_DELAY_S = 2 / 60; // a frame waits for the next picture, and is drawn
const WINDOW_LEAST = 4;
const WINDOW_MOST = 32;

/**
 * Counts the tries since the last session that lasted, and spaces them out.
 *
 * Waits vary by chance, so that a class that waits for one server does not knock all together.
 */
export class Retries {
  attempt = 0;
  readonly #draw: () => number;

  constructor(draw: () => number = Math.random) {
    this.#draw = draw;
  }

  /** Take note that a session has ended after so long. */
  lasted(seconds: number): void {
    if (seconds >= STEADY_S) this.attempt = 0;
  }

  /** Count one more try; return how long to wait before it, seconds. */
  next(): number {
    this.attempt += 1;
    const delay = DELAYS_S[Math.min(this.attempt, DELAYS_S.length) - 1]!;
    return delay * (1 + JITTER * (2 * this.#draw() - 1));
  }
}

/** Return how many unacknowledged frames keep a connection of this round trip fluid. */
export function windowFor(roundTripS: number): number {
  const inFlight = Math.ceil((roundTripS + RENDER_DELAY_S) * FRAME_RATE_HZ) + 1;
  return Math.min(Math.max(inFlight, WINDOW_LEAST), WINDOW_MOST);
}

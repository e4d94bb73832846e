/** What the page has to say to the person, in no language yet. */

import type { Trouble } from "../link/failures.ts";
import type { Recipe } from "../recipes/recipe.ts";
import type { Mismatch } from "../recipes/replay.ts";

/** How a comparison has ended: the server had no room for it, it is gone, or there was none. */
export type Ending = `${"twin" | "branches"} ${"full" | "gone" | "none"}`;

/** An answer to what was done last. */
export type Notice =
  | { what: "watching" | "session replaced" | "taken over" | "moment gone" }
  | { what: "class waits" | "no examples" | "watched is over" }
  | { what: "nothing to compare" | "replay runs" | "one way on" | "no token" }
  | { what: "comparison"; ending: Ending; trouble: Trouble }
  | { what: "branch taken"; seed: bigint }
  | { what: "replayed"; steps: number }
  | { what: "other weights"; model: string }
  | { what: "not exact"; reason: string }
  | { what: "mismatch"; mismatch: Mismatch }
  | { what: "rejected"; message: string } // in the server's own words
  | { what: "said"; words: string };

/** Return why a replay of a recipe by the weights of this fingerprint may give another picture. */
export function doubtOf(recipe: Recipe, fingerprint: string | undefined): Notice | undefined {
  const others = fingerprint !== undefined && fingerprint !== recipe.fingerprint;
  if (others) return { what: "other weights", model: recipe.model };
  return recipe.inexact ? { what: "not exact", reason: recipe.inexact } : undefined;
}

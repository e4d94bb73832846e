/**
 * What a closed stream means: which sentence to show, and whether to try again (`link/failures.py`).
 *
 * Close codes are 4000 + gRPC's status; 1006 is what a browser reports when nothing was said at all.
 */

export const OK = 1000;
const STATUS = 4000;
export const CODES = {
  invalidArgument: STATUS + 3,
  deadlineExceeded: STATUS + 4,
  notFound: STATUS + 5,
  resourceExhausted: STATUS + 8,
  failedPrecondition: STATUS + 9,
  aborted: STATUS + 10,
  internal: STATUS + 13,
  unavailable: STATUS + 14,
  unauthenticated: STATUS + 16,
  tooLarge: 1009,
} as const;
const REFUSALS: readonly number[] = [
  CODES.failedPrecondition, CODES.invalidArgument, CODES.notFound, CODES.unauthenticated,
];

export type Trouble =
  | "unreached" | "broken" | "no answer" | "full" | "over" | "ended" | "taken over" | "idle"
  | "token" | "not resumed" | "refused" | "shutting down" | "unreadable";

/** Why a stream ended. `details` is the server's own sentence, "" if it said nothing. */
export interface Failure {
  trouble: Trouble;
  details: string;
  again: boolean; // trying again may help
  newSession: boolean; // and it takes a new session
}

/** Return what a close code means. */
export function explain(
  code: number,
  details: string,
  now: { wasLive: boolean; resuming: boolean; watching: boolean },
): Failure {
  const failure = (trouble: Trouble, again = true, newSession = false): Failure => {
    return { trouble, details, again, newSession };
  };
  if (now.resuming && !now.wasLive && REFUSALS.includes(code)) return failure("not resumed", true, true);
  switch (code) {
    case OK:
      return now.watching ? failure("over", false) : failure("ended", true, true);
    case CODES.unavailable:
      return failure(details ? "shutting down" : "unreached");
    case CODES.deadlineExceeded:
      return now.wasLive ? failure("idle", false) : failure("no answer");
    case CODES.aborted:
      return failure("taken over", false, true);
    case CODES.resourceExhausted:
      return failure("full");
    case CODES.unauthenticated:
      return failure("token", false);
    case CODES.notFound:
      // whoever is watched may be about to return
      return now.watching ? failure("over", true) : failure("refused", false, true);
    case CODES.invalidArgument:
    case CODES.failedPrecondition:
    case CODES.tooLarge:
      return failure("refused", false, true);
    case CODES.internal:
      return failure("ended");
    default:
      return failure(now.wasLive ? "broken" : "unreached");
  }
}

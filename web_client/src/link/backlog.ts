/**
 * What a client keeps so that a session survives its stream: the token, the commands, their numbers.
 *
 * Nothing here waits or sends (`link/backlog.py`).
 */

import type { DenoiseRequest, ResumeToken, Start } from "../diffusion_toy/v1/denoise_pb.ts";
import { type Command, request, start as startOf } from "../contract/messages.ts";

const COMMANDS_KEPT = 4096;

/** One session over several streams: how each begins, and the numbers of the commands. */
export class ResumableSession {
  newest: ResumeToken | undefined;
  resuming = false; // the present stream began with a token
  #requests: DenoiseRequest[] = []; // that are not in the token
  #watching = false;
  #lastSequence = 0;

  /** Return the first request of a stream: it goes on with the session, or begins one from `start`. */
  begin(start: Start, window: number, bearerToken: string, name = ""): DenoiseRequest {
    this.#watching = start.watch !== "";
    this.resuming = this.newest !== undefined && !this.#watching;
    if (this.resuming) {
      const value = startOf({ resumeToken: this.newest!.token, window, bearerToken, name });
      return request({ case: "start", value }, 0);
    }
    return request({ case: "start", value: { ...start, window, bearerToken, name } }, 1);
  }

  /** Return what is to be sent again on a stream that is open, before any other command. */
  welcomed(appliedSequence: number, resumed: boolean): DenoiseRequest[] {
    if (this.resuming && resumed) {
      this.#lastSequence = Math.max(this.#lastSequence, appliedSequence);
      return this.#requests.filter((one) => one.sequence > BigInt(appliedSequence));
    }
    this.forget();
    this.#lastSequence = Math.max(appliedSequence, 1);
    return [];
  }

  /** Return the next command as a request, numbered and kept; it waits for this step of the session. */
  command(command: Command, atStep?: number): DenoiseRequest {
    this.#lastSequence += 1;
    const numbered = request(command, this.#lastSequence, atStep);
    this.#requests.push(numbered);
    if (this.#requests.length > COMMANDS_KEPT) this.#requests.shift();
    return numbered;
  }

  /** Take a token that has come in, unless the session is only watched: it would take it over. */
  token(token: ResumeToken): void {
    if (this.#watching) return;
    this.newest = token;
    while (this.#requests.length && this.#requests[0]!.sequence <= token.sequence) this.#requests.shift();
  }

  /** Forget the session. */
  forget(): void {
    this.newest = undefined;
    this.#requests = [];
  }
}

/** What the class wall shows everybody, and what the person makes of it. */

import type { Lesson } from "../diffusion_toy/v1/denoise_pb.ts";

export class Classroom {
  /** Whether the person wants to see what is on the spotlight; nobody has to. */
  following = false;
  #lesson: Lesson | undefined;
  #answered: string;
  #lost = false; // what is on the spotlight cannot be watched

  /** `answered` is what `answer` has returned before a reload. */
  constructor(answered = "") {
    this.#answered = answered;
  }

  receive(lesson: Lesson): void {
    this.#lesson = lesson;
    this.#lost = false;
  }

  /** Return the session to be shown in place of the person's own; undefined for that one. */
  watched(own: string | undefined): string | undefined {
    const spotlight = this.#lesson?.spotlight;
    return this.following && spotlight && spotlight !== own && !this.#lost ? spotlight : undefined;
  }

  /** Whether the person's own session is on the spotlight. */
  shows(own: string | undefined): boolean {
    return own !== undefined && this.#lesson?.spotlight === own;
  }

  /** Take note that the session on the spotlight is over: the next lesson may tell of another. */
  lose(): void {
    this.#lost = true;
  }

  /** Return the seed that waits for the person's answer. */
  get offered(): bigint | undefined {
    return this.#name === this.#answered ? undefined : this.#lesson?.offer?.seed;
  }

  /** Take note that the person has answered the offer; return what is to be kept over a reload. */
  answer(): string {
    this.#answered = this.#name;
    return this.#answered;
  }

  get #name(): string {
    const { seed, number } = this.#lesson?.offer ?? {};
    return `${number ?? 0}:${seed ?? ""}`; // a server that starts again counts from 1
  }
}

/**
 * A session that comes back when it is lost.
 *
 * Opens streams, tries again when the server is away, and goes on with the session where it was. The page takes the
 * newest frame, acknowledges it when it is drawn, and sends commands; none of it waits.
 */

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DenoiseRequest,
  DenoiseRequestSchema,
  type DenoiseResponse,
  DenoiseResponseSchema,
  type ResumeToken,
  type Start,
  type Welcome,
} from "../diffusion_toy/v1/denoise_pb.ts";
import { APPLIED_MAX, type Command, type Frame, frameOf, request } from "../contract/messages.ts";
import { ResumableSession } from "./backlog.ts";
import { explain, type Failure, OK } from "./failures.ts";
import { Retries, windowFor } from "./retries.ts";

export const SUBPROTOCOL = "diffusion-toy.v1";
const ANSWER_TIMEOUT_S = 10;
const FRAMES_KEPT = 32; // for those who look for a moment that two sessions have had

export type Phase = "connecting" | "live" | "reconnecting" | "refused";

export interface Status {
  phase: Phase;
  failure: Failure | undefined;
  attempt: number;
}

/** The part of a WebSocket that is used. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export type OpenSocket = (address: string, subprotocol: string) => Socket;

/** What has come in and is neither a frame nor the connection's own business. */
export type Event = Extract<DenoiseResponse["response"], { case: "welcome" | "rejected" | "schedule" | "lesson" }>;

/** The world that a connection needs; tests bring their own. */
export interface Surroundings {
  open: OpenSocket;
  now: () => number; // seconds, monotonic
  later: (seconds: number, then: () => void) => () => void; // returns what takes it back
}

export class Connection {
  status: Status = { phase: "connecting", failure: undefined, attempt: 0 };
  token = ""; // the server's bearer token
  name = ""; // by which a class wall shows the session
  heard = 0; // when the newest message came in, seconds
  roundTripS = 0; // as it was when the stream opened
  recent: Frame[] = []; // the newest frames of this stream, oldest first, also those that nobody has taken
  readonly #address: string;
  readonly #makeStart: () => Start;
  readonly #world: Surroundings;
  readonly #session = new ResumableSession();
  #retries = new Retries();
  #socket: Socket | undefined;
  #opened = 0;
  #liveSince = 0;
  #watching = false;
  #farewell = ""; // of a server that shuts down
  #frame: Frame | undefined; // the newest that nobody has taken
  #events: Event[] = [];
  #acknowledged = 0;
  #cancel: () => void = () => undefined;

  /** `makeStart` is called before each try that begins a session. */
  constructor(address: string, makeStart: () => Start, world: Surroundings) {
    this.#address = address;
    this.#makeStart = makeStart;
    this.#world = world;
  }

  /** Begin to connect; with a token, to go on with its session. */
  open(token?: Uint8Array): void {
    if (token) this.#session.newest = { token, sequence: 0n } as ResumeToken;
    this.#try();
  }

  get live(): boolean {
    return this.status.phase === "live";
  }

  /** Return the newest token, undefined before the first. */
  get resumeToken(): ResumeToken | undefined {
    return this.#session.newest;
  }

  /** Whether the session could not begin, or its stream has broken. */
  get failed(): boolean {
    return this.status.phase === "reconnecting" || this.status.phase === "refused";
  }

  /** Try at once, also after a refusal. */
  tryAgain(): void {
    if (this.live || this.#socket) return;
    if (this.status.phase === "refused") this.#retries = new Retries();
    this.#cancel();
    this.#try();
  }

  /** End the session, and begin another one from what `makeStart` returns now, or go on with that of a token. */
  beginAnew(token?: ResumeToken): void {
    this.#session.forget();
    this.#session.newest = token;
    this.#drop(OK);
    this.#retries = new Retries();
    this.status = { phase: "connecting", failure: undefined, attempt: 0 };
    this.#try();
  }

  /** End the session, unless somebody is to go on with it; or stop watching one. */
  leave(keepSession = false): void {
    this.#drop(keepSession ? undefined : OK);
  }

  /** Leave a stream that may be dead, and go on with the session on another one. */
  reconnect(): void {
    if (!this.#socket) {
      this.tryAgain();
      return;
    }
    this.#drop();
    this.status = { phase: "reconnecting", failure: undefined, attempt: 0 };
    this.#try();
  }

  /** Return what has come in since the last call: events, and the newest frame. */
  take(): { events: Event[]; frame: Frame | undefined } {
    const taken = { events: this.#events, frame: this.#frame };
    this.#events = [];
    this.#frame = undefined;
    return taken;
  }

  /** Acknowledge a frame: it is on the screen. */
  drawn(frame: Frame): void {
    if (frame.number <= this.#acknowledged) return;
    this.#acknowledged = frame.number;
    const value = { $typeName: "diffusion_toy.v1.Acknowledge" as const, frameNumber: BigInt(frame.number) };
    this.#send(request({ case: "acknowledge", value }));
  }

  /**
   * Send a command and return its number; undefined, and it is dropped, without a session of one's own.
   *
   * A command that has a number arrives, if need be on a later stream of the same session. `atStep` is the step of
   * the session that it waits for.
   */
  send(command: Command, atStep?: number): number | undefined {
    if (!this.live || this.#watching || !this.#socket) return undefined;
    const numbered = this.#session.command(command, atStep);
    this.#send(numbered);
    return Number(numbered.sequence);
  }

  #send(message: DenoiseRequest): void {
    if (this.#socket?.readyState === 1) this.#socket.send(toBinary(DenoiseRequestSchema, message));
  }

  #try(): void {
    this.#frame = undefined; // numbers begin again
    this.recent = [];
    this.#acknowledged = 0;
    this.#farewell = "";
    this.#opened = this.#world.now();
    const socket = this.#world.open(this.#address, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      // opening took two round trips: TCP's and HTTP's
      this.roundTripS = (this.#world.now() - this.#opened) / 2;
      this.#send(this.#session.begin(this.#makeStart(), windowFor(this.roundTripS), this.token, this.name));
    };
    socket.onmessage = ({ data }) => {
      this.heard = this.#world.now();
      try {
        this.#receive(fromBinary(DenoiseResponseSchema, new Uint8Array(data as ArrayBuffer)).response);
      } catch (error) {
        this.#drop();
        const details = error instanceof Error ? error.message : String(error);
        this.#failed({ trouble: "unreadable", details, again: false, newSession: true });
      }
    };
    socket.onclose = ({ code, reason }) => {
      this.#ended(code, reason);
    };
    this.#cancel = this.#world.later(ANSWER_TIMEOUT_S, () => {
      this.#drop();
      this.#failed({ trouble: "no answer", details: "", again: true, newSession: false });
    });
  }

  /** Close the stream and hear no more of it. */
  #drop(code?: number): void {
    this.#cancel();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #ended(code: number, reason: string): void {
    const now = { wasLive: this.live, resuming: this.#session.resuming, watching: this.#watching };
    this.#drop();
    const failure = explain(code, this.#farewell || reason, now);
    if (this.#farewell && failure.again) failure.trouble = "shutting down";
    this.#failed(failure);
  }

  #failed(failure: Failure): void {
    if (failure.newSession) this.#session.forget();
    if (this.live) this.#retries.lasted(this.#world.now() - this.#liveSince);
    const delayS = this.#retries.next();
    const phase = failure.again ? "reconnecting" : "refused";
    this.status = { phase, failure, attempt: this.#retries.attempt };
    if (failure.again) {
      this.#cancel = this.#world.later(delayS, () => {
        this.#try();
      });
    }
  }

  #receive(response: DenoiseResponse["response"]): void {
    switch (response.case) {
      case "frame":
        this.#receiveFrame(frameOf(response.value));
        break;
      case "welcome":
        this.#receiveWelcome(response.value);
        this.#events.push(response);
        break;
      case "resumeToken":
        this.#session.token(response.value);
        break;
      case "moving":
        if (response.value.resumeToken) this.#session.token(response.value.resumeToken);
        this.#farewell = response.value.message;
        break;
      case "rejected":
      case "schedule":
      case "lesson":
        this.#events.push(response);
    }
  }

  /** Keep a frame in place of one that nobody has taken; it then lists that one's commands as well. */
  #receiveFrame(frame: Frame): void {
    if (this.#frame) frame.applied = [...this.#frame.applied, ...frame.applied].slice(-APPLIED_MAX);
    this.#frame = frame;
    this.recent.push(frame);
    if (this.recent.length > FRAMES_KEPT) this.recent.shift();
  }

  #receiveWelcome(welcome: Welcome): void {
    this.#cancel();
    this.#watching = welcome.watching;
    for (const one of this.#session.welcomed(Number(welcome.appliedSequence), welcome.resumed)) this.#send(one);
    this.#liveSince = this.#world.now();
    this.status = { phase: "live", failure: undefined, attempt: this.status.attempt };
  }
}

/** The browser's own sockets and clock. */
export const BROWSER: Surroundings = {
  open: (address, subprotocol) => new WebSocket(address, subprotocol) as Socket,
  now: () => performance.now() / 1000,
  later: (seconds, then) => {
    const timer = setTimeout(then, seconds * 1000);
    return () => {
      clearTimeout(timer);
    };
  },
};


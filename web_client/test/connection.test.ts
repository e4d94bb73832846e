/** A session comes back when it is lost, and loses nothing that was asked of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type DenoiseRequest, DenoiseRequestSchema, DenoiseResponseSchema,
} from "../src/diffusion_toy/v1/denoise_pb.ts";
import { pause, start } from "../src/contract/messages.ts";
import { Connection, type Socket, SUBPROTOCOL } from "../src/link/connection.ts";
import { CODES } from "../src/link/failures.ts";

/** The server's end of a socket. */
class Wire implements Socket {
  binaryType = "";
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  sent: DenoiseRequest[] = [];
  closed: number | undefined;

  send(data: Uint8Array<ArrayBuffer>): void {
    this.sent.push(fromBinary(DenoiseRequestSchema, data));
  }

  close(code = 1005): void {
    this.closed = code;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(response: NonNullable<MessageInitShape<typeof DenoiseResponseSchema>["response"]>): void {
    const bytes = toBinary(DenoiseResponseSchema, create(DenoiseResponseSchema, { response }));
    this.onmessage?.({ data: bytes.buffer });
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  kinds(): (string | undefined)[] {
    return this.sent.map(({ request }) => request.case);
  }
}

/** A world in which time passes when it is told to. */
class World {
  wires: Wire[] = [];
  time = 0;
  #timers: { at: number; then: () => void }[] = [];
  connection = new Connection("ws://test/api/denoise", () => start({ seed: 5n }), {
    open: (address, subprotocol) => {
      assert.equal(address, "ws://test/api/denoise");
      assert.equal(subprotocol, SUBPROTOCOL);
      this.wires.push(new Wire());
      return this.wire;
    },
    now: () => this.time,
    later: (seconds, then) => {
      const timer = { at: this.time + seconds, then };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      };
    },
  });

  get wire(): Wire {
    return this.wires.at(-1)!;
  }

  pass(seconds: number): void {
    const until = this.time + seconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((one, other) => one.at - other.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.time = Math.max(this.time, due.at);
      due.then();
    }
    this.time = until;
  }

  /** Open the newest socket, and welcome whoever comes. */
  welcome(fields: { resumed?: boolean; appliedSequence?: bigint; watching?: boolean } = {}): void {
    this.wire.open();
    this.wire.say({ case: "welcome", value: { sessionId: "one", seed: 5n, appliedSequence: 1n, ...fields } });
  }

  live(): this {
    this.connection.open();
    this.welcome();
    assert.ok(this.connection.live);
    return this;
  }
}

const TOKEN = { token: Uint8Array.of(1, 2, 3), sequence: 2n };

test("the first request is the start, with the bearer token", () => {
  const world = new World();
  world.connection.token = "secret";
  world.connection.open();
  world.wire.open();
  const { request, sequence } = world.wire.sent[0]!;
  assert.equal(sequence, 1n);
  assert.ok(request.case === "start");
  assert.equal(request.value.seed, 5n);
  assert.equal(request.value.bearerToken, "secret");
  assert.ok(request.value.window >= 4);
});

test("a frame is acknowledged when it has been drawn, and only once", () => {
  const world = new World().live();
  world.wire.say({ case: "frame", value: { number: 3n } });
  const { frame } = world.connection.take();
  assert.ok(frame);
  assert.deepEqual(world.wire.kinds(), ["start"]);
  world.connection.drawn(frame);
  world.connection.drawn(frame);
  assert.deepEqual(world.wire.kinds(), ["start", "acknowledge"]);
});

test("a frame that nobody has taken hands its list of applied commands on", () => {
  const world = new World().live();
  world.wire.say({ case: "frame", value: { number: 1n, applied: [{ sequence: 2n, step: 4n }] } });
  world.wire.say({ case: "frame", value: { number: 2n, applied: [{ sequence: 3n, step: 5n }] } });
  const { frame } = world.connection.take();
  assert.equal(frame?.number, 2);
  assert.deepEqual(frame.applied, [{ sequence: 2, step: 4 }, { sequence: 3, step: 5 }]);
});

test("after a loss the newest token is shown, and what it lacks is sent again before anything else", () => {
  const world = new World().live();
  world.connection.send(pause());
  world.connection.send(pause());
  world.wire.say({ case: "resumeToken", value: TOKEN }); // has the first of them
  world.pass(5);
  world.wire.end(1006);
  assert.equal(world.connection.status.phase, "reconnecting");
  assert.equal(world.connection.send(pause()), undefined); // there is nobody to take it
  world.pass(1);
  world.welcome({ resumed: true, appliedSequence: 2n });
  const [first, again] = world.wire.sent;
  assert.ok(first?.request.case === "start");
  assert.deepEqual([...first.request.value.resumeToken], [1, 2, 3]);
  assert.equal(again?.sequence, 3n);
  assert.equal(world.connection.send(pause()), 4);
});

test("a token that is refused begins a new session", () => {
  const world = new World().live();
  world.wire.say({ case: "resumeToken", value: TOKEN });
  world.wire.end(1006);
  world.pass(1);
  world.wire.open();
  world.wire.end(CODES.unauthenticated, "another key");
  assert.equal(world.connection.status.failure?.trouble, "not resumed");
  world.pass(5);
  world.welcome();
  const { request } = world.wire.sent[0]!;
  assert.ok(request.case === "start" && request.value.resumeToken.length === 0);
});

test("waits between tries grow, and no try is made after a refusal until somebody asks", () => {
  const world = new World();
  world.connection.open();
  for (let tries = 0; tries < 12; tries++) {
    world.wire.end(CODES.resourceExhausted, "full");
    assert.equal(world.connection.status.failure?.trouble, "full");
    world.pass(6);
  }
  assert.equal(world.wires.length, 13);
  world.wire.end(CODES.unauthenticated, "no token");
  assert.equal(world.connection.status.phase, "refused");
  world.pass(60);
  assert.equal(world.wires.length, 13);
  world.connection.tryAgain();
  assert.equal(world.wires.length, 14);
});

test("a server that says nothing is given up", () => {
  const world = new World();
  world.connection.open();
  world.wire.open();
  world.pass(11);
  assert.equal(world.connection.status.failure?.trouble, "no answer");
  assert.equal(world.wires.length, 2);
});

test("a server that moves on tells why, and its token is used", () => {
  const world = new World().live();
  world.wire.say({ case: "moving", value: { resumeToken: TOKEN, message: "restarting" } });
  world.wire.end(CODES.unavailable, "bye");
  assert.deepEqual(
    [world.connection.status.failure?.trouble, world.connection.status.failure?.details],
    ["shutting down", "restarting"],
  );
  assert.deepEqual(world.connection.resumeToken?.token, TOKEN.token);
});

test("one who watches sends no commands and keeps no token", () => {
  const world = new World();
  world.connection = new Connection("ws://test/api/denoise", () => start({ watch: "other" }), {
    open: () => {
      world.wires.push(new Wire());
      return world.wire;
    },
    now: () => 0,
    later: () => () => undefined,
  });
  world.connection.open();
  world.welcome({ watching: true });
  assert.equal(world.connection.send(pause()), undefined);
  world.wire.say({ case: "resumeToken", value: TOKEN });
  assert.equal(world.connection.resumeToken, undefined);
  world.wire.end(1000);
  assert.equal(world.connection.status.failure?.trouble, "over");
});

test("another session ends the present one in good order", () => {
  const world = new World().live();
  const [first] = world.wires;
  world.connection.beginAnew();
  assert.equal(first?.closed, 1000);
  world.welcome();
  assert.deepEqual(world.wire.kinds(), ["start"]);
});

test("what cannot be read ends the stream with a word about it", () => {
  const world = new World().live();
  world.wire.onmessage?.({ data: Uint8Array.of(255, 255, 255).buffer });
  assert.equal(world.connection.status.failure?.trouble, "unreadable");
});

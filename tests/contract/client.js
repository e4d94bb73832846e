// A client of the contract in JavaScript. It knows the .proto file and nothing else of this repository.
//
//   node client.js HOST:PORT PROTO_FOLDER [unstarted]
//
// Opens a session, acknowledges its frames, injects noise once, sends one bad command, half-closes,
// and prints what it saw as one line of JSON. `unstarted`: acknowledges before it starts, which is not
// allowed.

"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protoFolder, mode] = process.argv.slice(2);
const definition = loader.loadSync("diffusion_toy/v1/denoise.proto", {
  includeDirs: [protoFolder],
  keepCase: true,
  longs: String, // they have 64 bits, JavaScript's numbers 53
  enums: String,
  defaults: true,
  oneofs: true,
});
const { DenoiseService } = grpc.loadPackageDefinition(definition).diffusion_toy.v1;

const SEED = "9223372036854775807";
const report = { frames: 0, numbers_rise: true, byte_lengths: {}, responses: {} };
let lastNumber = 0n;
let injected = false;

const client = new DenoiseService(address, grpc.credentials.createInsecure());
const call = client.Denoise({ deadline: Date.now() + 30_000 });

function count(where, key) {
  where[key] = (where[key] ?? 0) + 1;
}

function onFrame(frame) {
  report.frames += 1;
  report.numbers_rise &&= BigInt(frame.number) > lastNumber;
  lastNumber = BigInt(frame.number);
  for (const field of ["x_t", "x0_hat", "level_map"]) {
    count((report.byte_lengths[field] ??= {}), frame[field].length);
  }
  if (call.writableEnded) return; // frames that were on their way when we half-closed
  call.write({ acknowledge: { frame_number: frame.number } });
  if (!injected && frame.time_step.max < 290) {
    injected = true;
    report.motion = frame.motion;
    const place = { x: 0.5, y: 0.5, radius: 0.2 };
    call.write({ sequence: 2, inject: { disc: place, amount: 40, kind: "NOISE_KIND_LAPLACE" } });
  }
  if (!report.applied && BigInt(frame.applied_sequence) >= 2n) {
    report.applied = { level_map: frame.level_map.length, min: frame.time_step.min, max: frame.time_step.max };
    call.write({ sequence: 3, inject: { disc: { x: 0.5, y: 0.5, radius: 7 }, amount: 40 } });
  }
}

call.on("data", (message) => {
  const kind = message.response; // of the oneof, null for one that this .proto does not know
  count(report.responses, kind);
  report.first_response ??= kind;
  if (kind === "welcome") {
    const { session_id, seed, model, schedule, limits, settings, window, server_version } = message.welcome;
    report.welcome = {
      session_id,
      seed,
      window,
      server_version,
      shape: [model.channels, model.height, model.width],
      labels: model.label_names,
      label: settings.label,
      schedule: [schedule.name, schedule.alphas_cumprod.length, schedule.alphas_cumprod[0]],
      tick_rate_hz: limits.tick_rate_hz,
    };
  } else if (kind === "frame") {
    onFrame(message.frame);
  } else if (kind === "rejected") {
    report.rejected = message.rejected;
    call.end();
  }
});
call.on("error", (error) => {
  if (error.code in grpc.status) return; // the stream's status, which comes below
  throw error;
});
call.on("status", ({ code, details }) => {
  report.status = { code, name: grpc.status[code], details };
  console.log(JSON.stringify(report));
  client.close();
});

if (mode === "unstarted") {
  call.write({ acknowledge: { frame_number: 1 } });
} else {
  call.write({ sequence: 1, start: { seed: SEED, window: 2, settings: { label: 3 } } });
}

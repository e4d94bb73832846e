// gRPC's own health client for Node.js: prints the state of the server and of one service of it.
//
//   node health.js HOST:PORT SERVICE

"use strict";

const grpc = require("@grpc/grpc-js");
const { service } = require("grpc-health-check");

const [address, name] = process.argv.slice(2);
const Health = grpc.makeClientConstructor(service, "Health");
const client = new Health(address, grpc.credentials.createInsecure());

function check(request) {
  return new Promise((resolve) => {
    client.check(request, { deadline: Date.now() + 10_000 }, (error, reply) => {
      resolve(error ? grpc.status[error.code] : reply.status);
    });
  });
}

async function main() {
  const states = { server: await check({}), service: await check({ service: name }) };
  states.unknown = await check({ service: "no.such.Service" });
  console.log(JSON.stringify(states));
  client.close();
}

main();

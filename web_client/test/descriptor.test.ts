/** The descriptor that the built page brings says what the generated one says. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { DescEnum, DescField, DescFile, DescMessage } from "@bufbuild/protobuf";
import { fileDesc } from "@bufbuild/protobuf/codegenv2";
import { file_diffusion_toy_v1_denoise } from "../src/diffusion_toy/v1/denoise_pb.ts";

const GENERATED = "src/diffusion_toy/v1/denoise_pb.ts";

function fieldOf(field: DescField): unknown {
  const { name, localName, jsonName, number, fieldKind, presence, oneof, scalar, enum: one, message } = field;
  const packed = "packed" in field && field.packed;
  const kept = [name, localName, jsonName, number, fieldKind, presence, scalar, packed];
  return [...kept, oneof?.localName, one?.typeName, message?.typeName];
}

function enumOf({ typeName, open, sharedPrefix, values }: DescEnum): unknown {
  return [typeName, open, sharedPrefix, values.map(({ name, localName, number }) => [name, localName, number])];
}

function messageOf({ typeName, fields, oneofs, nestedMessages, nestedEnums }: DescMessage): unknown {
  return [
    typeName, fields.map(fieldOf), oneofs.map((one) => [one.localName, one.fields.map(({ name }) => name)]),
    nestedMessages.map(messageOf), nestedEnums.map(enumOf),
  ];
}

function meaning({ name, edition, messages, enums, services }: DescFile): unknown {
  const methods = services.map((one) => one.methods.map(({ name, methodKind, input, output }) =>
    [name, methodKind, input.typeName, output.typeName]));
  return { name, edition, messages: messages.map(messageOf), enums: enums.map(enumOf), methods };
}

test("what the page brings of the contract is what was generated", () => {
  const base64 = /fileDesc\("([^"]+)"\)/.exec(readFileSync(GENERATED, "utf8"))![1]!;
  assert.deepEqual(meaning(file_diffusion_toy_v1_denoise), meaning(fileDesc(base64)));
  assert.ok(file_diffusion_toy_v1_denoise.messages.length > 30);
});

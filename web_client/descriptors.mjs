// An esbuild plugin: generated messages, protobuf's own among them, bring their file's descriptor as a plain object,
// not as base64.
//
// To read base64 the page would need the description of descriptors themselves, which is larger than all the rest of
// the contract. `src/contract/descriptor.ts` makes of the object what protobuf's runtime expects.

import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

const DESCRIPTOR = join(dirname(fileURLToPath(import.meta.url)), "src/contract/descriptor.ts");

/** Return the descriptor as JSON, without what is empty. */
function plain(base64) {
  const drop = (key, value) => (key === "$typeName" || (Array.isArray(value) && !value.length) ? undefined : value);
  return JSON.stringify(fromBinary(FileDescriptorProtoSchema, base64Decode(base64)), drop);
}

export const plainDescriptors = {
  name: "plain descriptors",
  setup({ onLoad }) {
    onLoad({ filter: /_pb\.[jt]s$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const found = source.match(/fileDesc\("([^"]+)"\)/);
      if (!found) return undefined; // the description of descriptors, which nobody needs then
      const from = relative(dirname(path), DESCRIPTOR).replaceAll("\\", "/");
      const contents = source.replace(found[0], `fileOf(${plain(found[1])})`);
      return { contents: `import { fileOf } from ${JSON.stringify(from)};\n${contents}`, loader: path.endsWith("ts") ? "ts" : "js" };
    });
  },
};

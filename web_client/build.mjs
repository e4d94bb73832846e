// Writes dist/: what the server sends. Names of assets have a hash of their content.
//
//   node build.mjs [folder]

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { plainDescriptors } from "./descriptors.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "dist"));

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.ts", style: "src/page.css" },
  bundle: true,
  charset: "utf8",
  format: "esm",
  legalComments: "none",
  loader: { ".json": "json" },
  minify: true,
  outdir: "out",
  plugins: [plainDescriptors],
  target: ["chrome100", "firefox113", "safari16.4"],
  write: false,
});

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });

function asset(name, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const [stem, suffix] = name.split(".");
  const path = `assets/${stem}-${hash}.${suffix}`;
  writeFileSync(join(out, path), content);
  return `/${path}`;
}

const bundled = (suffix) => outputFiles.find((file) => file.path.endsWith(suffix)).contents;
const names = {
  icon: asset("icon.svg", readFileSync(join(here, "src/icon.svg"))),
  style: asset("style.css", bundled(".css")),
  script: asset("page.js", bundled(".js")),
};
const page = readFileSync(join(here, "src/index.html"), "utf8");
writeFileSync(join(out, "index.html"), page.replace(/\{(\w+)\}/g, (_, name) => names[name]));

// Drives a browser for tests in another language: a line of JSON in, a line of JSON out.
//
//   node driver.mjs FOLDER_WITH_NODE_MODULES BROWSER
//
// {"code": "...", "args": {...}} runs the body of an async function that gets `browser`, `pages` (an object to keep
// pages in), `args` and `openPage(url, options)`; {"value": ...} or {"error": "..."} answers.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { chromium } = require("playwright-core");

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const pages = {};
const problems = []; // what pages have complained of
const AsyncFunction = (async () => undefined).constructor;

async function openPage(url, { context, ...options } = {}) {
  const within = context ?? (await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options }));
  const page = await within.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => problems.push(String(error.stack)));
  page.on("console", (message) => {
    if (message.type() === "error" && message.text().includes("Content Security Policy")) problems.push(message.text());
  });
  await page.goto(url);
  return page;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { code, args } = JSON.parse(line);
  let answer;
  try {
    const run = new AsyncFunction("browser", "pages", "args", "openPage", "problems", "require", code);
    answer = { value: (await run(browser, pages, args, openPage, problems, require)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();

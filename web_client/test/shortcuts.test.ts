/** What keys do on the page. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "../src/contract/messages.ts";
import { ViewModel } from "../src/core/view_model.ts";
import { listen } from "../src/ui/shortcuts.ts";

/** Hold a key on a page without elements; return how often it has acted, and whether the browser was kept from it. */
function held(key: string, repeats: number): [commands: number, opened: number, kept: boolean] {
  const page = Object.assign(new EventTarget(), { matches: () => false });
  Object.assign(globalThis, { document: page });
  const model = new ViewModel(start({ seed: 7n }));
  model.live = true;
  let opened = 0;
  const open = (): void => { opened += 1; };
  listen(model, () => true, { draw: open, twin: open, branches: open }, new AbortController().signal);
  let kept = true;
  for (let time = 0; time <= repeats; time++) {
    const event = Object.assign(new Event("keydown", { cancelable: true }), { key, repeat: time > 0 });
    page.dispatchEvent(event);
    kept &&= event.defaultPrevented;
  }
  return [model.takeCommands().length, opened, kept];
}

test("a held key acts once", () => {
  for (const key of [" ", "f", "z", "r", "n", "l", "-"]) assert.deepEqual(held(key, 3), [1, 0, true], key);
  for (const key of ["x", "j", "b", "B"]) assert.deepEqual(held(key, 3), [0, 1, true], key);
});

test("steps go on while their key is held", () => {
  for (const key of ["ArrowRight", "ArrowLeft"]) assert.deepEqual(held(key, 3), [4, 0, true]);
});

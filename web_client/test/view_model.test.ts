/** What the page knows of a session, and what it asks of it, while the connection comes and goes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Motion, start } from "../src/contract/messages.ts";
import { ViewModel } from "../src/core/view_model.ts";
import { frame, welcome } from "./frames.ts";

/** Return the model of a session that runs. */
function running(): ViewModel {
  const model = new ViewModel(start({ seed: 7n }));
  const here = { name: "mnist", hasExamples: true, labelNames: ["0", "1", "2"] };
  model.receiveEvent({ case: "welcome", value: welcome({ model: here } as never) });
  model.live = true;
  model.receiveFrame(frame(200));
  model.takeCommands();
  return model;
}

/** Lose the connection. */
function lose(model: ViewModel): void {
  model.live = false;
  assert.deepEqual(sent(model), []);
}

/** Let the connection be back; with the same session, or with a new one. */
function comeBack(model: ViewModel, resumed: boolean): void {
  model.receiveEvent({ case: "welcome", value: welcome({ resumed }) });
  model.live = true;
}

function sent(model: ViewModel): (string | undefined)[] {
  return model.takeCommands().map((command) => command.case);
}

test("an origin of a longer schedule begins at the end of a shorter one", () => {
  const model = running();
  model.configure({ numTimeSteps: 1000 });
  model.beginWith(new Uint8Array(784), 500);
  assert.equal(model.nextStart().origin?.timeStep, 500);
  model.configure({ numTimeSteps: 300 });
  assert.equal(model.nextStart().origin?.timeStep, 300);
  assert.equal(model.start.origin?.timeStep, 500); // which it is again on a longer one
});

test("what has been said before a connection is there to be read, until something else is done", () => {
  const damaged = { what: "said", words: "the link is damaged" } as const;
  for (const resumed of [false, true]) {
    const model = new ViewModel(start({ seed: 7n }));
    model.notice = damaged;
    comeBack(model, resumed);
    assert.equal(model.notice, damaged);
    lose(model);
    comeBack(model, true);
    assert.equal(model.notice, damaged);
    model.changeModel("other");
    assert.equal(model.notice, undefined);
    comeBack(model, false);
    assert.equal(model.notice, undefined); // it was asked for
    comeBack(model, false);
    assert.deepEqual(model.notice, { what: "session replaced" });
  }
});

test("what is asked for without a connection is forgotten where the session goes on", () => {
  const model = running();
  const before = model.start;
  lose(model);
  model.step(Motion.REVERSE);
  model.example();
  assert.deepEqual(sent(model), []);
  model.configure({ label: 2 });
  assert.notDeepEqual(model.start, before);
  comeBack(model, true); // before the next picture
  assert.equal(model.start, before);
  assert.equal(model.settings.label, -1);
  assert.deepEqual(sent(model), []);
  model.receiveFrame(frame(199));
  assert.equal(model.motion, Motion.REVERSE);
  model.restart();
  assert.deepEqual(sent(model), ["restart"]); // and no play: the picture does not begin clean
});

test("a step that was sent before the loss is still expected to end in a pause", () => {
  const model = running();
  model.step(Motion.REVERSE);
  assert.deepEqual(sent(model), ["step"]);
  lose(model);
  model.togglePlay();
  comeBack(model, true);
  assert.deepEqual(sent(model), []);
  model.receiveFrame(frame(200));
  assert.equal(model.motion, Motion.PAUSED);
});

test("a session that is to play on does so when it is back, once", () => {
  const model = running();
  model.pause();
  assert.deepEqual(sent(model), ["pause"]);
  lose(model);
  model.play();
  assert.deepEqual(sent(model), []);
  comeBack(model, true);
  assert.deepEqual(sent(model), ["play"]);
  assert.equal(model.motion, Motion.REVERSE);
  lose(model);
  comeBack(model, true);
  assert.deepEqual(sent(model), []);
});

test("whoever presses play without a connection finds the session as it was", () => {
  const model = running();
  model.pause();
  assert.deepEqual(sent(model), ["pause"]);
  lose(model);
  model.togglePlay();
  comeBack(model, true);
  assert.deepEqual(sent(model), []);
  assert.equal(model.motion, Motion.PAUSED);
});

test("a new session after a loss begins with what was asked for meanwhile", () => {
  const model = running();
  lose(model);
  model.restart(41n);
  model.configure({ label: 2 });
  assert.deepEqual(sent(model), []);
  assert.equal(model.nextStart().seed, 41n);
  comeBack(model, false);
  assert.equal(model.start.seed, 41n);
  assert.equal(model.settings.label, 2);
});

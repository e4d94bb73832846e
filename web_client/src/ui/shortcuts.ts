/** Keys that people know from the viewer (`core/keymap.py`); they can be switched off. */

import { Motion, NO_LABEL } from "../contract/messages.ts";
import { KINDS, RULES } from "../core/brush.ts";
import { MOUSE_MODES, RADIUS, STRENGTH } from "../core/strokes.ts";
import type { ViewModel } from "../core/view_model.ts";

const RADIUS_STEP = 1.15; // factors of one key press
const STRENGTH_STEP = 1.25;
const OWN_KEYS = "input, select, textarea, dialog, [role=slider] *"; // elements that have a use for all keys

// what goes on while a key is held; everything else acts once a press
const REPEATED = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "[", "]"];

/** Whether a key acts now: it has been pressed, or goes on while it is held. */
export function acts({ key, repeat }: KeyboardEvent): boolean {
  return !repeat || REPEATED.includes(key);
}

/** Return the one after this; the last leads to the first. */
function after<T>(all: readonly T[], now: T): T {
  return all[(all.indexOf(now) + 1) % all.length]!;
}

/** What keys open. */
export interface Opens {
  draw: () => void;
  twin: () => void;
  branches: () => void;
}

/** Return what a key does to the brush, undefined if nothing. */
export function brushAction(key: string, model: ViewModel): (() => void) | undefined {
  const { brush } = model;
  const within = (value: number, range: { min: number; max: number }): number =>
    Math.min(Math.max(value, range.min), range.max);
  const actions: Record<string, () => void> = {
    ArrowUp: () => { brush.strength = within(brush.strength * STRENGTH_STEP, STRENGTH); },
    ArrowDown: () => { brush.strength = within(brush.strength / STRENGTH_STEP, STRENGTH); },
    "[": () => { brush.radius = within(brush.radius / RADIUS_STEP, RADIUS); },
    "]": () => { brush.radius = within(brush.radius * RADIUS_STEP, RADIUS); },
    m: () => {
      brush.mode = after(MOUSE_MODES, brush.mode);
      model.dropStrokes();
    },
  };
  return actions[key.length === 1 ? key.toLowerCase() : key];
}

/** Return what a key does, undefined if nothing. */
function actionOf(key: string, model: ViewModel, opens: Opens): (() => void) | undefined {
  const { brush } = model;
  if (/^[0-9]$/.test(key)) {
    const label = Number(key);
    return label < model.labelNames.length ? () => { model.configure({ label }); } : undefined;
  }
  const actions: Record<string, () => void> = {
    " ": () => { model.togglePlay(); },
    ArrowRight: () => { model.step(Motion.REVERSE); },
    ArrowLeft: () => { model.step(Motion.FORWARD); },
    f: () => { model.toggleDirection(); },
    z: () => { model.back(); },
    r: () => { model.restart(); },
    n: () => { model.newSeed(); },
    e: () => { model.example(); },
    x: opens.draw,
    j: opens.twin,
    b: opens.branches,
    l: () => { model.configure({ label: NO_LABEL }); },
    "-": () => { model.configure({ label: NO_LABEL }); },
    k: () => { brush.kind = after(KINDS, brush.kind); },
    t: () => { brush.rule = after(RULES, brush.rule); },
  };
  return actions[key.length === 1 ? key.toLowerCase() : key] ?? brushAction(key, model);
}

/** Take the keys of the page; `allowed` says whether they act now. */
export function listen(model: ViewModel, allowed: () => boolean, opens: Opens, signal: AbortSignal): void {
  document.addEventListener(
    "keydown",
    (event) => {
      const target = event.target as Element;
      if (!allowed() || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      if (target.matches(OWN_KEYS)) return;
      const pressed = target.matches("button, summary, a");
      if (pressed && (event.key === " " || event.key === "Enter")) return;
      const action = actionOf(event.key, model, opens);
      if (!action) return;
      event.preventDefault();
      if (!acts(event)) return;
      if (model.watching) model.notice = { what: "watching" };
      else action();
    },
    { signal },
  );
}

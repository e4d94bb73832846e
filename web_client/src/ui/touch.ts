/** Mouse, pen, finger and keys on the large picture. */

import type { Brush } from "../core/brush.ts";
import type { Point } from "../core/strokes.ts";

const STEP = 1 / 28; // of the picture's side, by an arrow key
const RIGHT = 2; // a mouse's button

/** What a picture that is touched tells: points are in fractions of it, undefined outside it. */
export interface Touched {
  pointer: Point | undefined;
  readonly healing: boolean; // two fingers, or the right button, are down
  readonly brush: Brush;
  pointerAt(point: Point | undefined): void;
  pointerHeld(held: boolean): void;
  heal(held: boolean): void;
  dab(point: Point): void;
  healOnce(point: Point): void;
}

/** Follow what happens on an element with the picture; two fingers or the right button denoise. */
export function follow(element: HTMLElement, model: Touched): void {
  const down = new Map<number, PointerEvent>();

  const pointOf = (event: MouseEvent): Point | undefined => {
    const box = element.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? [x, y] : undefined;
  };

  const between = (): Point | undefined => {
    const points = [...down.values()].map(pointOf).filter((point) => point !== undefined);
    if (!points.length) return undefined;
    const mean = (axis: 0 | 1): number => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    return [mean(0), mean(1)];
  };

  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    if (event.button === RIGHT || down.size > 1) {
      model.pointerHeld(false);
      model.heal(true);
      model.pointerAt(between());
    } else {
      if (event.pointerType !== "mouse") model.pointerAt(undefined); // a finger's last stroke ended elsewhere
      model.pointer = pointOf(event);
      model.pointerHeld(true);
      if (model.brush.mode !== "brush while pressed") model.pointerAt(model.pointer);
    }
  });

  element.addEventListener("pointermove", (event) => {
    if (down.has(event.pointerId)) down.set(event.pointerId, event);
    if (model.healing) {
      model.pointerAt(down.size ? between() : pointOf(event));
      return;
    }
    if (event.pointerType === "touch" && !down.has(event.pointerId)) return;
    // all places since the last picture, so that a fast stroke is not cut short at its corners
    const events = event.getCoalescedEvents();
    for (const one of events.length ? events : [event]) model.pointerAt(pointOf(one));
  });

  const up = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId)) return;
    if (model.healing && down.size === 0) model.heal(false);
    if (down.size) return;
    model.pointerHeld(false);
    model.pointerAt(event.pointerType === "mouse" ? pointOf(event) : undefined);
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", (event) => {
    if (!down.size && event.pointerType !== "touch") model.pointerAt(undefined);
  });
  element.addEventListener("contextmenu", (event) => {
    event.preventDefault();
  });

  element.addEventListener("keydown", (event) => {
    const moves: Record<string, Point> = {
      ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
    };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const move = moves[event.key];
    const at: Point = model.pointer ?? [0.5, 0.5];
    const inside = (value: number): number => Math.min(Math.max(value, 0), 1 - 1e-9);
    if (move) model.pointer = [inside(at[0] + move[0]), inside(at[1] + move[1])];
    else if (event.key === "Enter") model.dab(at);
    else if (event.key === "Delete" || event.key === "Backspace") model.healOnce(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  element.addEventListener("blur", () => {
    if (!down.size) model.pointerAt(undefined);
  });
}

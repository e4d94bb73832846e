/** Elements, made and changed in few words. */

type Child = Node | string | undefined;
type Properties<K extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[K], "style" | "dataset" | "className">
> & { class?: string; data?: Record<string, string>; aria?: Record<string, string> };

/** Return a new element with properties, ARIA attributes, data and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const { class: names, data = {}, aria = {}, ...rest } = properties;
  const element = document.createElement(tag);
  Object.assign(element, rest);
  if (names) element.className = names;
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Write a text where it is not there yet: a layout that nothing changes costs nothing. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

const APART_S = 4; // between two sentences that are read out

/** What a screen reader says, rarely enough to listen to; the newest sentence waits for its turn. */
export class Aloud {
  readonly element = h("p", { class: "aloud" });
  #said = -Infinity;

  constructor() {
    mark(this.element, "role", "status");
  }

  say(text: string, now: number): void {
    if (this.element.textContent === text || now - this.#said < APART_S) return;
    this.#said = now;
    write(this.element, text);
  }
}

/** Hide or show an element: an attribute that is set anew makes the browser look at its style again. */
export function hide(element: HTMLElement, hidden: boolean): void {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/** Set an attribute where it has another value. */
export function mark(element: Element, name: string, value: string | boolean): void {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6.5 5h4v14h-4zM13.5 5h4v14h-4z",
  step: "M5 5v14l9-7zM16 5h3v14h-3z",
  noise: "M19 5v14l-9-7zM5 5h3v14H5z",
  undo: "M9.5 5 4 10.5 9.5 16v-4H14a3.5 3.5 0 0 1 0 7h-4v2.5h4a6 6 0 0 0 0-12H9.5z",
  restart: "M12 5a7 7 0 1 1-6.6 4.7l2.3.8A4.5 4.5 0 1 0 12 7.500V11L6.500 6.250 12 1.500z",
  newSeed: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm3 3.300a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400zm8 0a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400zm-4 4a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400zm-4 4a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400zm8 0a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400z",
  forward: "M17 4 11 9.500h4v8h-3V20h5.500v-10.500H23zM7 20l6-5.500H9v-8h3V4H6.500v10.500H1z",
  share: "M18 2a3.500 3.500 0 1 1-2.700 5.700L9.400 11a3.500 3.500 0 0 1 0 2l5.900 3.300a3.500 3.500 0 1 1-1 2.100l-6-3.300a3.500 3.500 0 1 1 0-6.200l6-3.300A3.500 3.500 0 0 1 18 2z",
  save: "M11 3h2v9.200l3.300-3.300 1.400 1.400L12 16l-5.700-5.700 1.400-1.400 3.300 3.300zM4 17h2v2h12v-2h2v4H4z",
  tour: "M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm4.800 5.200-6.300 2.500-2.500 6.300 6.300-2.500zM12 10.800a1.200 1.200 0 1 1 0 2.400 1.200 1.200 0 0 1 0-2.400z",
} as const;
export type Icon = keyof typeof ICONS;

const SVG = "http://www.w3.org/2000/svg";

/** Return an icon; the button around it has its name. */
export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function setIcon(button: HTMLElement, name: Icon): void {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  button.querySelector("svg")?.replaceWith(icon(name));
}

/** Return a button that is an icon; its name is read out and shown as a tooltip. */
export function iconButton(name: Icon, label: string, hint: string, act: () => void): HTMLButtonElement {
  const title = hint ? `${label}: ${hint}` : label;
  const button = h("button", { type: "button", class: "icon", title, data: { icon: name } }, icon(name));
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}

export function button(label: string, act: () => void, names = ""): HTMLButtonElement {
  const element = h("button", { type: "button", class: names }, label);
  element.addEventListener("click", act);
  return element;
}

/** A choice of one from a few, shown as a list to open. */
export interface Choice<T> {
  row: HTMLElement;
  set(value: T): void;
  options(values: readonly T[]): void;
}

let count = 0;

function labelled(label: string, control: HTMLElement, value?: HTMLElement): HTMLElement {
  control.id = `control-${++count}`;
  const name = h("label", { htmlFor: control.id }, label);
  return h("div", { class: "row" }, name, value, control);
}

export function choice<T>(
  label: string,
  values: readonly T[],
  words: (value: T) => string,
  act: (value: T) => void,
): Choice<T> {
  const select = h("select");
  let known: readonly T[] = [];
  const options = (now: readonly T[]): void => {
    if (now.length === known.length && now.every((one, i) => words(one) === words(known[i]!))) return;
    known = now;
    select.replaceChildren(...now.map((one) => h("option", {}, words(one))));
  };
  options(values);
  select.addEventListener("change", () => {
    const value = known[select.selectedIndex];
    if (value !== undefined) act(value);
  });
  const set = (value: T): void => {
    const index = known.findIndex((one) => words(one) === words(value));
    if (select.selectedIndex !== index) select.selectedIndex = index;
  };
  return { row: labelled(label, select), set, options };
}

/** A number within a range, as a slider with its value beside it. */
export interface Slider {
  row: HTMLElement;
  set(value: number): void;
}

/** `logarithmic` sliders spread a range of many powers evenly. */
export function slider(
  label: string,
  range: { min: number; max: number; step?: number; logarithmic?: boolean },
  words: (value: number) => string,
  act: (value: number) => void,
): Slider {
  const to = range.logarithmic ? Math.log : (value: number) => value;
  const from = range.logarithmic ? Math.exp : (value: number) => value;
  const input = h("input", { type: "range" });
  input.min = String(to(range.min));
  input.max = String(to(range.max));
  input.step = range.logarithmic ? "any" : String(range.step ?? 1);
  const value = h("output", { aria: { hidden: "true" } });
  const say = (number: number): void => {
    write(value, words(number));
    mark(input, "aria-valuetext", words(number));
  };
  input.addEventListener("input", () => {
    const number = Math.min(Math.max(from(Number(input.value)), range.min), range.max);
    say(number);
    act(number);
  });
  const set = (number: number): void => {
    if (Math.abs(Number(input.value) - to(number)) > 1e-3) input.value = String(to(number));
    say(number);
  };
  return { row: labelled(label, input, value), set };
}

/** Return a switch with its words, and what sets it. */
export function toggle(
  label: string,
  act: (on: boolean) => void,
  id = "",
): { row: HTMLElement; set(on: boolean): void } {
  const input = h("input", { type: "checkbox", id });
  input.addEventListener("change", () => {
    act(input.checked);
  });
  const row = h("label", { class: "toggle" }, input, h("span", {}, label));
  return {
    row,
    set: (on) => {
      input.checked = on;
    },
  };
}

/** Return what is drawn on, in its own pixels; undefined where the platform has none left. */
export function context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const found = canvas.getContext("2d");
  if (!found) throw new Error("this browser cannot draw on a canvas");
  return found;
}

export interface Size {
  width: number;
  height: number;
}

/**
 * Return the size of an element in CSS pixels, kept up to date without asking the layout again and again.
 *
 * Zero until the browser has told it, and while the element is not shown.
 */
export function sizeOf(element: Element): Size {
  const size = { width: 0, height: 0 };
  new ResizeObserver(([entry]) => {
    Object.assign(size, { width: entry?.contentRect.width ?? 0, height: entry?.contentRect.height ?? 0 });
  }).observe(element);
  return size;
}

/** Give a canvas as many pixels as the screen has there, clear it, and scale what is drawn to CSS pixels. */
export function fit(canvas: HTMLCanvasElement, on: CanvasRenderingContext2D, { width, height }: Size): void {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== t) Object.assign(canvas, { width: w, height: t });
  on.setTransform(ratio, 0, 0, ratio, 0, 0);
  on.clearRect(0, 0, width, height);
}

const colors = new Map<string, string>();

/** Return the colour that a custom property of the page has now. */
export function color(name: string): string {
  if (!colors.size) {
    const light = window.matchMedia("(prefers-color-scheme: light)");
    light.addEventListener("change", () => { colors.clear(); }, { once: true });
  }
  let found = colors.get(name);
  if (found === undefined) {
    found = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    colors.set(name, found);
  }
  return found;
}

/** The words in force: by the browser's languages at first, then as the person chooses. */

import tour from "../../../viewer_client/experiments/tour.json";
import { InjectionRule, NoiseKind } from "../contract/messages.ts";
import type { Stage, Todo } from "../tour/tour.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";

export type Words = typeof en;

export const LANGUAGES = { en, de } satisfies Record<string, Words>;
export type Language = keyof typeof LANGUAGES;

export function isLanguage(name: string): name is Language {
  return name in LANGUAGES;
}

/** Return the first of the browser's languages that the page speaks, else English. */
export function preferred(languages: readonly string[]): Language {
  const known = languages.map((one) => one.slice(0, 2).toLowerCase()).find(isLanguage);
  return known ?? "en";
}

/** Return a time step in whole numbers, rounded up: 0 is shown only where nothing is left to do. */
export function whole(t: number): string {
  return String(Math.ceil(t - 1e-3));
}

/** Return a tour's sentence with the page's names for what is to be pressed. */
function named(text: string, words: Words): string {
  const names: Record<string, string> = {
    play: words.quoted(words.play),
    direction: words.quoted(words.runBack),
    new_seed: words.quoted(words.newSeed),
    restart: words.quoted(words.restart),
    kind: words.quoted(words.kind),
    rule: words.quoted(words.rule),
    dose: words.quoted(words.dose),
    close: words.quoted(words.endTour),
    stroke: words.strokeBy,
    gaussian: words.kinds[NoiseKind.GAUSSIAN],
    uniform: words.kinds[NoiseKind.UNIFORM],
    smooth: words.kinds[NoiseKind.SMOOTH],
    constant: words.kinds[NoiseKind.CONSTANT],
    truth: words.rules[InjectionRule.TRUTH],
    naive: words.rules[InjectionRule.NAIVE],
  };
  return text.replace(/\{(\w+)\}/g, (_, name: string) => names[name] ?? name);
}

export function caption(language: Language, stage: Stage): { title: string; text: string } {
  const { title, text } = tour[language].captions[stage];
  return { title, text: named(text, LANGUAGES[language]) };
}

export function todo(language: Language, what: Todo): string {
  const words = LANGUAGES[language];
  switch (what) {
    // here one chooses, where the viewer has keys that go on to the next
    case "gaussian":
      return words.choose(words.kind, [words.kinds[NoiseKind.GAUSSIAN]]);
    case "shaped":
      return words.choose(words.kind, [words.kinds[NoiseKind.SMOOTH], words.kinds[NoiseKind.CONSTANT]]);
    case "truth":
      return words.choose(words.rule, [words.rules[InjectionRule.TRUTH]]);
    case "naive":
      return words.choose(words.rule, [words.rules[InjectionRule.NAIVE]]);
  }
  return named(tour[language].todos[what], words);
}

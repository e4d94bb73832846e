/** How the page shows things, as the person has chosen; kept from visit to visit. */

import { COLOR_MAPS, type ColorMap } from "../core/colormaps.ts";
import { isLanguage, type Language, preferred } from "../words/words.ts";

const KEY = "diffusion-toy-appearance";

export class Appearance {
  colorMap: ColorMap = "grey";
  heat = false; // the time step of each pixel is laid over x_t
  language: Language = preferred(navigator.languages);
  shortcuts = true;
  toured = false; // the tour has been seen or skipped

  constructor() {
    const kept = read();
    if (COLOR_MAPS.some((one) => one === kept.colorMap)) this.colorMap = kept.colorMap as ColorMap;
    if (typeof kept.language === "string" && isLanguage(kept.language)) this.language = kept.language;
    this.heat = kept.heat === true;
    this.shortcuts = kept.shortcuts !== false;
    this.toured = kept.toured === true;
  }

  keep(): void {
    try {
      localStorage.setItem(KEY, JSON.stringify(this));
    } catch {
      // a browser that keeps nothing still shows everything
    }
  }
}

function read(): Record<string, unknown> {
  try {
    return (JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, unknown> | null) ?? {};
  } catch {
    return {};
  }
}

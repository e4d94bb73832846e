/** The page: its parts, and what is done once for each picture that the screen shows. */

import { fromBinary } from "@bufbuild/protobuf";
import { ListModelsResponseSchema, type Model } from "./diffusion_toy/v1/denoise_pb.ts";
import { drawSeed, ViewModel } from "./core/view_model.ts";
import { start } from "./contract/messages.ts";
import { BROWSER, Connection } from "./link/connection.ts";
import type { Recipe } from "./recipes/recipe.ts";
import { readFragment } from "./recipes/links.ts";
import { forgetSession, keepName, keepSession, keepToken, keptName, keptSession, keptToken } from "./ui/kept.ts";
import { Appearance } from "./ui/appearance.ts";
import { ConnectionPanel } from "./ui/connection_panel.ts";
import { button, h, icon, mark } from "./ui/dom.ts";
import { FilmStrip } from "./ui/film.ts";
import { Gauge } from "./ui/gauge.ts";
import { Menus } from "./ui/menus.ts";
import { Notices } from "./ui/notices.ts";
import { Panel } from "./ui/panel.ts";
import { Pictures } from "./ui/pictures.ts";
import { listen } from "./ui/shortcuts.ts";
import { TimeLine } from "./ui/timeline.ts";
import { follow } from "./ui/touch.ts";
import { TourPanel } from "./ui/tour_panel.ts";
import { Transport } from "./ui/transport.ts";
import { WallNote } from "./ui/wall_note.ts";
import { type Language, LANGUAGES } from "./words/words.ts";

const SILENCE_S = 6; // of a session that should send frames: then its stream is dead
const SLEEP_S = 90; // between two looks at the clock: then the device has slept
const LOOK_EVERY_S = 5;

export class App {
  readonly #appearance = new Appearance();
  readonly #model: ViewModel;
  readonly #connection: Connection;
  readonly #root: HTMLElement;
  #parts: ReturnType<App["mount"]>;
  #models: readonly Model[] = [];
  #looked = BROWSER.now();

  constructor(root: HTMLElement) {
    this.#root = root;
    const asked = readFragment(location.hash);
    history.replaceState(null, "", location.pathname); // a token is not for the address bar, or for who looks over
    this.#model = new ViewModel(start(asked.watch ? { watch: asked.watch } : { seed: drawSeed() }));
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const address = `${scheme}//${location.host}/api/denoise`;
    this.#connection = new Connection(address, () => this.#model.nextStart(), BROWSER);
    this.#connection.token = asked.token || keptToken();
    if (asked.token) keepToken(asked.token);
    this.#connection.name = keptName();
    this.#parts = this.mount();
    void this.#begin(asked);
  }

  async #begin(asked: { watch: string; recipe: string }): Promise<void> {
    const recipe = asked.recipe ? await this.#parts.menus.read(asked.recipe) : undefined;
    if (recipe) await this.#replayWith(recipe);
    this.#connection.open(asked.watch || recipe ? undefined : keptSession());
    forgetSession();
    void this.#listModels();
    this.#watchOver();
    requestAnimationFrame((now) => {
      this.#draw(now / 1000);
    });
  }

  /** Replay on the recipe's own model, where the server has it. */
  async #replayWith(recipe: Recipe): Promise<void> {
    await this.#listModels();
    if (this.#models.some((one) => one.name === recipe.model)) {
      this.#model.start = { ...this.#model.start, model: recipe.model };
    }
    this.#model.beginReplay(recipe);
  }

  async #listModels(): Promise<void> {
    const { token } = this.#connection;
    const headers = { Accept: "application/x-protobuf", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    try {
      const response = await fetch("/api/models", { headers });
      if (!response.ok) return;
      this.#models = fromBinary(ListModelsResponseSchema, new Uint8Array(await response.arrayBuffer())).models;
      this.#parts.panel.models = this.#models;
    } catch {
      // the list stays as it is; the connection says what is wrong
    }
  }

  /** Come back after a sleep, a break of the network, or a switch to another page. */
  #watchOver(): void {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#look();
    });
    addEventListener("online", () => {
      this.#connection.tryAgain();
    });
    addEventListener("pagehide", () => {
      const token = this.#connection.resumeToken;
      if (token && !this.#model.watching) keepSession(token);
    });
    addEventListener("pageshow", (event) => {
      if (event.persisted) forgetSession(); // the page comes back with its session
    });
    setInterval(() => {
      this.#look();
    }, LOOK_EVERY_S * 1000);
  }

  #look(): void {
    const now = BROWSER.now();
    const slept = now - this.#looked > SLEEP_S;
    this.#looked = now;
    const connection = this.#connection;
    const visible = document.visibilityState === "visible";
    if (!connection.live) {
      const idle = connection.status.failure?.trouble === "idle";
      if (visible && (connection.status.phase === "reconnecting" || idle)) connection.tryAgain();
      return;
    }
    const silent = this.#model.frame?.idle === false && now - connection.heard > SILENCE_S;
    if (visible && (slept || silent)) connection.reconnect();
  }

  /** Build the page in the language in force. */
  mount() {
    const { language } = this.#appearance;
    const words = LANGUAGES[language];
    const model = this.#model;
    const connection = this.#connection;
    document.documentElement.lang = language;
    document.title = words.title;
    const gone = new AbortController();
    const pictures = new Pictures(words, this.#appearance);
    follow(pictures.canvas, model);
    const transport = new Transport(words, model);
    const timeline = new TimeLine(words, model);
    const film = new FilmStrip(words, this.#appearance, model);
    const gauge = new Gauge(words);
    const notices = new Notices(words);
    const link = new ConnectionPanel(words, connection);
    const wall = new WallNote(words, connection.name, (name) => {
      keepName(name);
      connection.name = name;
      connection.reconnect(); // a start has the name
    });
    const panel = new Panel(words, model, this.#appearance, {
      chooseModel: (name) => {
        model.changeModel(name);
        connection.beginAnew();
      },
      chooseLanguage: (chosen) => {
        this.#chooseLanguage(chosen);
      },
    });
    panel.models = this.#models;
    const menus = new Menus(words, model, this.#appearance, {
      say: (said) => {
        model.notice = { what: "said", words: said };
      },
      replay: (recipe) => {
        model.beginReplay(recipe);
      },
      token: () => connection.token,
    });
    const tourButton = button("", () => {
      this.#toggleTour();
    }, "icon");
    tourButton.append(icon("tour"));
    mark(tourButton, "aria-label", words.tour);
    tourButton.title = words.tour;
    listen(model, () => this.#appearance.shortcuts && !menus.dialog.open, gone.signal);
    pictures.touched.append(link.veil);
    this.#root.replaceChildren(
      h(
        "header",
        { class: "bar" },
        h("h1", {}, words.title),
        link.sign,
        h("nav", { aria: { label: words.moreControls } }, tourButton, menus.save, menus.share),
      ),
      wall.element,
      h(
        "main",
        {},
        h("section", { class: "stage", aria: { label: words.noisy } }, transport.readout, pictures.touched),
        pictures.sides,
        h("section", { class: "run", aria: { label: words.time } }, transport.element, timeline.element, film.element),
        h("section", { class: "panel", aria: { label: words.moreControls } },
          panel.classes, panel.brush, gauge.element, panel.others),
      ),
      notices.element,
      notices.aloud,
      menus.dialog,
    );
    return { pictures, transport, timeline, film, gauge, notices, link, panel, menus, wall, gone, tour: undefined as TourPanel | undefined };
  }

  #chooseLanguage(language: Language): void {
    this.#appearance.language = language;
    this.#appearance.keep();
    const { tour } = this.#parts;
    this.#parts.gone.abort();
    tour?.close();
    this.#parts = this.mount();
    if (tour) this.#openTour(new TourPanel(language, this.#model, () => { this.#endTour(); }, tour.tour));
  }

  #toggleTour(): void {
    if (this.#parts.tour) {
      this.#parts.tour.close();
      this.#endTour();
    } else {
      this.#openTour(new TourPanel(this.#appearance.language, this.#model, () => { this.#endTour(); }));
    }
  }

  #openTour(tour: TourPanel): void {
    this.#parts.tour = tour;
    this.#root.querySelector("main")?.prepend(tour.element);
    this.#root.classList.add("touring");
  }

  #endTour(): void {
    this.#parts.tour = undefined;
    this.#root.classList.remove("touring");
    this.#appearance.toured = true;
    this.#appearance.keep();
  }

  #draw(now: number): void {
    requestAnimationFrame((next) => {
      this.#draw(next / 1000);
    });
    const model = this.#model;
    const connection = this.#connection;
    const { events, frame } = connection.take();
    for (const event of events) model.receiveEvent(event);
    model.live = connection.live;
    if (frame) model.receiveFrame(frame);
    if (model.live) model.feedback.passTime(now); // else what is on its way may be sent again
    this.#send(now);
    const { pictures, transport, timeline, film, gauge, notices, link, panel, tour, wall } = this.#parts;
    pictures.draw(model);
    transport.draw(model);
    timeline.draw(model, now);
    film.draw(now);
    gauge.draw(model, pictures.residual, now);
    panel.draw(now);
    tour?.draw();
    notices.draw(model, now);
    wall.draw(model);
    link.draw(model, connection, now);
    if (frame) connection.drawn(frame);
  }

  #send(now: number): void {
    const model = this.#model;
    for (const command of model.takeCommands()) {
      const sequence = this.#connection.send(command);
      if (sequence !== undefined) model.sent(command, sequence, now);
    }
    for (let command = model.nextReplayed(now); command; command = model.nextReplayed(now)) {
      const sequence = this.#connection.send(command);
      if (sequence === undefined) break;
      model.sent(command, sequence, now);
    }
  }
}

/** The page: its parts, and what is done once for each picture that the screen shows. */

import { create, fromBinary } from "@bufbuild/protobuf";
import { ListModelsResponseSchema, type Model, OriginSchema, type Start } from "./diffusion_toy/v1/denoise_pb.ts";
import { Classroom } from "./core/classroom.ts";
import type { Drawing } from "./core/drawing.ts";
import { drawSeed } from "./core/seed.ts";
import { ViewModel } from "./core/view_model.ts";
import { type Frame, start } from "./contract/messages.ts";
import { BROWSER, Connection } from "./link/connection.ts";
import type { Recipe } from "./recipes/recipe.ts";
import { readFragment } from "./recipes/links.ts";
import {
  forgetSession, keepAnswer, keepName, keepSession, keepToken, keptAnswer, keptName, keptSession, keptToken,
} from "./ui/kept.ts";
import { Appearance } from "./ui/appearance.ts";
import { Comparisons } from "./ui/comparisons.ts";
import { ConnectionPanel } from "./ui/connection_panel.ts";
import { button, h, icon, mark } from "./ui/dom.ts";
import { DrawingBoard } from "./ui/drawing_board.ts";
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

/** A session with the stream that brings it. */
interface Seen {
  model: ViewModel;
  connection: Connection;
}

export class App {
  readonly #appearance = new Appearance();
  readonly #classroom = new Classroom(keptAnswer());
  readonly #address: string;
  readonly #own: Seen; // goes on while another one is shown
  #spotlit: Seen | undefined; // shown in its place
  #drawing: Drawing | undefined; // of a board that is no more
  readonly #comparisons: Comparisons; // lie over the page
  readonly #root: HTMLElement;
  #parts: ReturnType<App["mount"]>;
  #models: readonly Model[] = [];
  #looked = BROWSER.now();

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#comparisons = new Comparisons(root, this.#appearance, {
      shown: () => this.#spotlit ?? this.#own,
      beside: (start) => this.#beside(start),
    });
    const asked = readFragment(location.hash);
    history.replaceState(null, "", location.pathname); // a token is not for the address bar, or for who looks over
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.#address = `${scheme}//${location.host}/api/denoise`;
    this.#own = this.#see(asked.watch, asked.token || keptToken());
    if (asked.token) keepToken(asked.token);
    this.#own.connection.name = keptName();
    this.#parts = this.mount();
    void this.#begin(asked);
  }

  /** Return a session that is to be watched, or a new one; its stream is not open yet. */
  #see(watch: string, token: string): Seen {
    const model = new ViewModel(start(watch ? { watch } : { seed: drawSeed() }));
    const connection = new Connection(this.#address, () => model.nextStart(), BROWSER);
    connection.token = token;
    return { model, connection };
  }

  async #begin(asked: { watch: string; recipe: string }): Promise<void> {
    const recipe = asked.recipe ? await this.#parts.menus.read(asked.recipe) : undefined;
    if (recipe) await this.#replayWith(recipe);
    this.#own.connection.open(asked.watch || recipe ? undefined : keptSession());
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
      this.#own.model.start = { ...this.#own.model.start, model: recipe.model };
    }
    this.#own.model.beginReplay(recipe);
  }

  async #listModels(): Promise<void> {
    const { token } = this.#own.connection;
    const headers = { Accept: "application/x-protobuf", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    try {
      const response = await fetch("/api/models", { headers });
      if (!response.ok) return;
      this.#models = fromBinary(ListModelsResponseSchema, new Uint8Array(await response.arrayBuffer())).models;
      this.#parts.panel.models = this.#models;
    } catch {
      // the list stays as it is; it is asked for again after a welcome
    }
  }

  /** Come back after a sleep, a break of the network, or a switch to another page. */
  #watchOver(): void {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#look();
    });
    addEventListener("online", () => {
      for (const { connection } of this.#seen) connection.tryAgain();
    });
    addEventListener("pagehide", () => {
      this.#comparisons.close();
      this.#send(this.#own, BROWSER.now()); // a session that was paused for them plays on
      const { model, connection } = this.#own;
      if (connection.resumeToken && !model.watching) keepSession(connection.resumeToken.token);
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
    if (document.visibilityState !== "visible") return;
    for (const { model, connection } of this.#seen) {
      const idle = connection.status.failure?.trouble === "idle";
      const silent = model.frame?.idle === false && now - connection.heard > SILENCE_S;
      if (connection.live) {
        if (slept || silent) connection.reconnect();
      } else if (connection.status.phase === "reconnecting" || idle) {
        connection.tryAgain();
      }
    }
  }

  /** Return the sessions that have a stream; the last one is shown. */
  get #seen(): Seen[] {
    return this.#spotlit ? [this.#own, this.#spotlit] : [this.#own];
  }

  /** Build the page in the language in force. */
  mount() {
    const { language } = this.#appearance;
    const words = LANGUAGES[language];
    const own = this.#own;
    const { model, connection } = this.#spotlit ?? own;
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
    const wall = new WallNote(words, this.#classroom, own.connection.name, {
      rename: (name) => {
        keepName(name);
        own.connection.name = name;
        own.connection.reconnect(); // a start has the name
      },
      begin: (seed) => {
        keepAnswer(this.#classroom.answer());
        this.#classroom.following = false; // to see what one has asked for
        own.model.restart(seed, create(OriginSchema));
      },
      decline: () => {
        keepAnswer(this.#classroom.answer());
      },
    });
    const panel = new Panel(words, model, this.#appearance, {
      chooseModel: (name) => {
        if (this.#spotlit) {
          model.notice = { what: "watching" };
          return;
        }
        model.changeModel(name);
        connection.beginAnew();
      },
      chooseLanguage: (chosen) => {
        this.#chooseLanguage(chosen);
      },
      openDrawing: () => { board.open(); },
      openBranches: () => { this.#comparisons.openBranches(); },
      openTwin: () => { this.#comparisons.openTwin(); },
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
    const board = new DrawingBoard(words, model, this.#appearance, this.#drawing);
    const opens = {
      draw: () => { board.open(); },
      branches: () => { this.#comparisons.openBranches(); },
      twin: () => { this.#comparisons.openTwin(); },
    };
    const free = (): boolean => !menus.dialog.open && !board.dialog.open && !this.#comparisons.open;
    listen(model, () => this.#appearance.shortcuts && free(), opens, gone.signal);
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
      board.dialog,
    );
    const tour: TourPanel | undefined = undefined;
    return {
      pictures, transport, timeline, film, gauge, notices, link, panel, menus, wall, board, gone,
      tour: tour as TourPanel | undefined,
    };
  }

  #chooseLanguage(language: Language): void {
    this.#appearance.language = language;
    this.#appearance.keep();
    this.#mountAgain();
  }

  #mountAgain(): void {
    const { tour } = this.#parts;
    const focused = document.activeElement?.id;
    this.#drawing = this.#parts.board.drawing;
    this.#parts.gone.abort();
    tour?.close();
    this.#parts = this.mount();
    if (tour) this.#openTour(this.#newTour(tour.tour));
    this.#parts.wall.draw(this.#own.model); // what is hidden takes no focus
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  #newTour(tour?: TourPanel["tour"]): TourPanel {
    return new TourPanel(this.#appearance.language, this.#own.model, () => { this.#endTour(); }, tour);
  }

  /** Show the session on the spotlight, where the person follows it, or else their own. */
  #followSpotlight(): void {
    if (this.#parts.board.dialog.open || this.#comparisons.open) return; // nobody is torn away from what is open
    if (this.#spotlit?.connection.status.failure?.trouble === "over") {
      this.#classroom.lose();
      this.#own.model.notice = { what: "watched is over" };
    }
    const watched = this.#classroom.watched(this.#own.model.welcome?.sessionId);
    if (watched === this.#spotlit?.model.start.watch) return;
    this.#spotlit?.connection.leave();
    this.#spotlit = watched ? this.#see(watched, this.#own.connection.token) : undefined;
    this.#spotlit?.connection.open();
    this.#mountAgain();
  }

  /** Open a session beside the person's own. */
  #beside(start: Start): Connection {
    const connection = new Connection(this.#address, () => start, BROWSER);
    connection.token = this.#own.connection.token;
    connection.name = this.#own.connection.name;
    connection.open();
    return connection;
  }

  #toggleTour(): void {
    if (this.#parts.tour) {
      this.#parts.tour.close();
      this.#endTour();
    } else {
      this.#openTour(this.#newTour());
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
    const drawn = this.#seen.map((seen) => ({ connection: seen.connection, frame: this.#advance(seen, now) }));
    this.#followSpotlight();
    const { model, connection } = this.#spotlit ?? this.#own;
    const { pictures, transport, timeline, film, gauge, notices, link, panel, tour, wall, board } = this.#parts;
    if (!this.#comparisons.draw(now)) {
      // else the page lies behind it
      pictures.draw(model);
      transport.draw(model);
      timeline.draw(model, now);
      film.draw(now);
      gauge.draw(model, pictures.residual, now);
      panel.draw(now);
      tour?.draw();
      board.draw();
    }
    notices.draw(model, now);
    wall.draw(this.#own.model);
    link.draw(model, connection, now);
    for (const one of drawn) if (one.frame) one.connection.drawn(one.frame);
  }

  /** Take in what has come of a session, and send what it is asked for; return its new frame. */
  #advance({ model, connection }: Seen, now: number): Frame | undefined {
    const { events, frame } = connection.take();
    for (const event of events) {
      if (event.case === "welcome" && model === this.#own.model) this.#welcomed(event.value.resumed);
      if (event.case === "lesson") this.#classroom.receive(event.value);
      else model.receiveEvent(event);
    }
    model.live = connection.live;
    if (frame) model.receiveFrame(frame);
    if (model.live) model.feedback.passTime(now); // else what is on its way may be sent again
    this.#send({ model, connection }, now);
    return frame;
  }

  /** The server knows the token, and may have other models than the one before. */
  #welcomed(resumed: boolean): void {
    const { model, connection } = this.#own;
    keepToken(connection.token);
    if (!this.#models.length || (model.welcome && !resumed)) void this.#listModels();
  }

  #send({ model, connection }: Seen, now: number): void {
    for (const command of model.takeCommands()) {
      const sequence = connection.send(command);
      if (sequence !== undefined) model.sent(command, sequence, now);
    }
    for (let command = model.nextReplayed(now); command; command = model.nextReplayed(now)) {
      const sequence = connection.send(command);
      if (sequence === undefined) break;
      model.sent(command, sequence, now);
    }
  }
}

/** The class wall: everybody's picture, small; a click opens the page that watches the session. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Lesson,
  type WallPicture,
  WallRequestSchema,
  type WallUpdate,
  WallUpdateSchema,
} from "../diffusion_toy/v1/denoise_pb.ts";
import { paint } from "../core/colormaps.ts";
import { CODES } from "../link/failures.ts";
import { Retries } from "../link/retries.ts";
import { readFragment, watchLink } from "../recipes/links.ts";
import { Appearance } from "../ui/appearance.ts";
import { button, context, h, mark, write } from "../ui/dom.ts";
import { keepToken, keepWallToken, keptToken, keptWallToken } from "../ui/kept.ts";
import { LANGUAGES, whole, type Words } from "../words/words.ts";
import { type Change, Teacher } from "./teacher.ts";

const SUBPROTOCOL = "diffusion-toy.wall.v1";

/** One session's picture: a link to watch it, and a button that puts it on the spotlight. */
class Tile {
  readonly element: HTMLElement;
  readonly #words: Words;
  readonly #spotlight: HTMLButtonElement;
  readonly #canvas = h("canvas");
  readonly #context = context(this.#canvas);
  readonly #name = h("b");
  readonly #t = h("span");
  #image = new ImageData(1, 1);

  /** `put` puts the session on the spotlight, or takes it off. */
  constructor(words: Words, session: string, token: string, put: (on: boolean) => void) {
    this.#words = words;
    mark(this.#canvas, "aria-hidden", "true");
    const href = watchLink(`${location.origin}/`, session, token);
    const caption = h("span", { class: "caption" }, this.#name, " ", this.#t);
    const title = words.wallWatch;
    this.#spotlight = button(words.spotlight, () => {
      put(this.#spotlight.getAttribute("aria-pressed") !== "true");
    });
    this.lit = false;
    this.element = h(
      "div",
      { class: "tile" },
      h("a", { href, title, target: "_blank", rel: "noopener" }, this.#canvas, caption),
      this.#spotlight,
    );
  }

  /** Whether it is on the spotlight. */
  set lit(lit: boolean) {
    mark(this.#spotlight, "aria-pressed", lit);
  }

  draw({ name, channels, height, width, xT, timeStep }: WallPicture): void {
    if (this.#image.width !== width || this.#image.height !== height) {
      Object.assign(this.#canvas, { width, height });
      this.#image = new ImageData(width, height);
    }
    paint(this.#image.data, xT, { channels, height, width }, "grey");
    this.#context.putImageData(this.#image, 0, 0);
    write(this.#name, name);
    mark(this.#spotlight, "aria-label", this.#words.spotlightOf(name || this.#words.nameless));
    write(this.#t, `t ${whole(timeStep)}`);
  }
}

export class WallPage {
  readonly #words: Words;
  readonly #wallToken: string;
  readonly #token: string; // the server's, which watching takes
  readonly #retries = new Retries();
  readonly #tiles = new Map<string, Tile>();
  readonly #grid = h("div", { class: "tiles" });
  readonly #status = h("p");
  readonly #teacher: Teacher;
  #lesson: Lesson | undefined;
  #socket: WebSocket | undefined;

  constructor(root: HTMLElement) {
    const asked = readFragment(location.hash);
    history.replaceState(null, "", location.pathname); // a token is not for who looks at the address bar
    if (asked.wall) keepWallToken(asked.wall);
    if (asked.token) keepToken(asked.token);
    this.#wallToken = asked.wall || keptWallToken();
    this.#token = asked.token || keptToken();
    const { language } = new Appearance();
    this.#words = LANGUAGES[language];
    document.documentElement.lang = language;
    document.title = this.#words.wall;
    mark(this.#status, "role", "status");
    this.#teacher = new Teacher(this.#words, (change) => { this.#tell(change); });
    root.replaceChildren(
      h("header", { class: "bar" }, h("h1", {}, this.#words.wall), this.#status),
      h("main", { class: "wall" }, this.#teacher.element, this.#grid),
    );
    write(this.#status, this.#words.phases.connecting);
    this.#open();
  }

  #open(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/wall`, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let first = true;
    socket.onopen = () => {
      socket.send(toBinary(WallRequestSchema, create(WallRequestSchema, { token: this.#wallToken })));
    };
    socket.onmessage = ({ data }) => {
      if (first) this.#clear(); // a new stream tells everything again
      first = false;
      this.#retries.attempt = 0;
      this.#receive(fromBinary(WallUpdateSchema, new Uint8Array(data as ArrayBuffer)));
    };
    socket.onclose = ({ code, reason }) => {
      if (code === CODES.unauthenticated) {
        this.#clear();
        write(this.#status, this.#words.wallToken);
        return;
      }
      const full = code === CODES.resourceExhausted;
      const { troubles, phases } = this.#words;
      write(this.#status, full ? `${troubles.full}: ${reason}` : phases.reconnecting);
      this.#grid.classList.add("away");
      setTimeout(() => { this.#open(); }, 1000 * Math.max(this.#retries.next(), full ? 4 : 0));
    };
  }

  #tell(change: Change): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(toBinary(WallRequestSchema, create(WallRequestSchema, { change })));
  }

  #show({ spotlight }: Lesson): void {
    for (const [session, tile] of this.#tiles) tile.lit = session === spotlight;
  }

  #clear(): void {
    this.#tiles.clear();
    this.#grid.replaceChildren();
    this.#grid.classList.remove("away");
  }

  #receive(update: WallUpdate): void {
    for (const session of update.gone) {
      this.#tiles.get(session)?.element.remove();
      this.#tiles.delete(session);
    }
    for (const picture of update.pictures) {
      let tile = this.#tiles.get(picture.sessionId);
      if (!tile) {
        const session = picture.sessionId;
        tile = new Tile(this.#words, session, this.#token, (on) => {
          this.#tell({ case: "spotlight", value: on ? session : "" });
        });
        tile.lit = session === this.#lesson?.spotlight;
        this.#tiles.set(picture.sessionId, tile);
        this.#grid.append(tile.element);
      }
      tile.draw(picture);
    }
    if (update.lesson) this.#show(update.lesson);
    this.#lesson = update.lesson ?? this.#lesson;
    const { spotlight } = this.#lesson ?? {};
    if (this.#lesson) this.#teacher.show(this.#lesson, Boolean(spotlight) && !this.#tiles.has(spotlight!));
    write(this.#status, this.#words.wallCount(this.#tiles.size, update.others));
  }
}

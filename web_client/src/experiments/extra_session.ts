/** Sessions beside the person's own, which are compared with it or with each other (`experiments/extra_session.py`). */

import type { Start } from "../diffusion_toy/v1/denoise_pb.ts";
import type { Frame } from "../contract/messages.ts";
import type { Notice } from "../core/notice.ts";
import type { ViewModel } from "../core/view_model.ts";
import type { Connection } from "../link/connection.ts";

/** What a comparison needs of a `Connection`. */
export type Link = Pick<
  Connection,
  | "status" | "live" | "failed" | "recent" | "resumeToken" | "roundTripS" | "take" | "drawn" | "send" | "leave"
  | "beginAnew"
>;

/** Opens one more session on the server of the person's own. */
export type OpenLink = (start: Start) => Link;

/** One session that ends with what it was opened for. */
export class ExtraSession {
  frame: Frame | undefined;
  joined = false; // it has begun
  readonly link: Link;

  constructor(link: Link) {
    this.link = link;
  }

  /**
   * Take in what has arrived; return whether a stream has begun with it.
   *
   * Once for each picture of the screen: its frame counts as drawn, since it is about to be.
   */
  update(): boolean {
    const { events, frame } = this.link.take();
    const begun = events.some((event) => event.case === "welcome");
    this.joined ||= begun;
    if (frame) {
      this.frame = frame;
      this.link.drawn(frame);
    }
    return begun;
  }
}

/** Return why nothing can be compared now; undefined if it can. */
export function obstacle(model: ViewModel): Notice | undefined {
  if (model.watching) return { what: "watching" };
  if (!model.frame || !model.live) return { what: "nothing to compare" };
  return model.replay ? { what: "replay runs" } : undefined;
}

/** Return the notice that a comparison has ended for what has become of this link. */
export function ending(what: "twin" | "branches", { status }: Link, joined: boolean): Notice {
  const trouble = status.failure?.trouble ?? "broken";
  const how = trouble === "full" ? "full" : joined ? "gone" : "none";
  return { what: "comparison", ending: `${what} ${how}`, trouble };
}

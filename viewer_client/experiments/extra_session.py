"""Sessions beside the window's own, which are compared with it or with each other. No PyGame, no gRPC."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from diffusion_toy.contract import messages as m
from viewer_client.core.keymap import Action, cap
from viewer_client.link.session_link import SessionLink
from viewer_client.link.status import Phase, Status


@dataclass
class ExtraSession:
    """One session that ends with what it was opened for.

    Attributes:
        link: link to the session; `update` takes what comes in.
        frame: the newest frame, None before the first.
        joined: the session has begun.
    """

    link: SessionLink
    frame: m.Frame | None = None
    joined: bool = False

    def update(self) -> bool:
        """Take in what has arrived; say whether a stream has begun with it.

        Once for each picture of the window: its frame counts as drawn, since it is about to be.
        """
        begun = False
        for response in self.link.take():
            if isinstance(response, m.Welcome):
                begun = self.joined = True
            elif isinstance(response, m.Frame):
                self.frame = response
                self.link.drawn(response)
        return begun

    @property
    def failed(self) -> bool:
        """Say whether the session could not begin, or its stream has broken."""
        return self.link.status.phase in (Phase.LOST, Phase.REFUSED, Phase.CLOSED)

    def close(self, *, keep_session: bool = False) -> None:
        """End it, in a thread of its own: a server that is gone would keep the window waiting.

        The process does not end before the thread, so that no session is left on the server.
        """
        end = {"keep_session": keep_session}
        threading.Thread(target=self.link.close, kwargs=end, name="closing", daemon=False).start()


def obstacle(frame: m.Frame | None, status: Status, *, replaying: bool) -> str:
    """Return why nothing can be compared now, as a sentence; "" if it can."""
    if frame is None or not status.live:
        return "there is nothing to compare without a server: wait until the picture comes"
    if replaying:
        return f"a recipe is being replayed: wait for its end, or press {cap(Action.RESTART)} to end it"
    return ""

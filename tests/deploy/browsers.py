"""Browsers as far as a server knows them: sessions over WebSockets that go on when their stream breaks."""

from __future__ import annotations

import queue
import threading
import time

import grpc
from websockets.exceptions import InvalidHandshake

from diffusion_toy.contract import messages as m
from tests.client import WebClient
from tests.deploy.manifests import TOKEN
from tests.tools import HANGS_S

AGAIN_S = 0.2  # between two tries
ENDLESS = m.SettingsChange(num_time_steps=1000)
BROKEN = (OSError, EOFError, grpc.RpcError, InvalidHandshake)


class Browser:
    """A browser that keeps its session, in a thread of its own.

    Attributes:
        resumed: how often the session went on after its stream broke.
        lost: how often it did not.
        back_s: times from the last picture of a stream that broke to the first of the next one.
        failure: what ended the thread other than `leave`.
    """

    def __init__(self, page: str, seed: int) -> None:
        self._page, self._start = page, m.Start(seed=seed, settings=ENDLESS)
        self._token, self._session = b"", ""
        self._over = threading.Event()
        self._last: float | None = None
        self.resumed = self.lost = 0
        self.back_s: list[float] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """End the session."""
        self._over.set()
        self._thread.join(HANGS_S)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self._look()
                except BROKEN:
                    self._over.wait(AGAIN_S)
        except BaseException as error:
            self.failure = error

    def _look(self) -> None:
        """Show the session until the stream ends."""
        with WebClient(self._page, bearer_token=TOKEN, open_timeout=HANGS_S) as client:
            welcome = client.resume(self._token) if self._token else client.start(self._start)
            came_back, self._session = bool(self._session), self._session or welcome.session_id
            if came_back:
                same = welcome.resumed and welcome.session_id == self._session
                self.resumed, self.lost = self.resumed + same, self.lost + (not same)
            first = True
            while not self._over.is_set():
                try:
                    response = client.read()
                except queue.Empty:
                    raise AssertionError("a stream has fallen silent") from None
                if response is None:
                    return
                if isinstance(response, m.Frame):
                    now = time.monotonic()
                    if first and self._last is not None:
                        self.back_s.append(now - self._last)
                    first, self._last = False, now
                    if response.idle:
                        client.send(m.Restart())
                if client.token is not None:
                    self._token = client.token.token

"""What a client keeps so that a session survives its stream: the token, the commands, their numbers.

Nothing here waits or sends; the window's connection and the load generator both go by it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from diffusion_toy.contract import messages as m

COMMANDS_KEPT = 4096


class Backlog:
    """The newest resume token, and the commands that are not in it.

    Attributes:
        newest: the newest token, None before the first.
        dropped: how many commands had to go because too many were waiting, the oldest first.
    """

    def __init__(self, limit: int = COMMANDS_KEPT) -> None:
        self.newest: m.ResumeToken | None = None
        self.dropped = 0
        self._limit = limit
        self._requests: deque[m.Request] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def sent(self, request: m.Request) -> None:
        """Keep a command that goes out."""
        if len(self._requests) >= self._limit:
            self._requests.popleft()
            self.dropped += 1
        self._requests.append(request)

    def token(self, token: m.ResumeToken) -> None:
        """Take a token that has come in, and forget the commands that are in it."""
        self.newest = token
        while self._requests and self._requests[0].sequence <= token.sequence:
            self._requests.popleft()

    def resend(self, applied_sequence: int) -> list[m.Request]:
        """Return the commands above `applied_sequence`, in their order.

        All are kept until a token has them: the next stream may break as well.
        """
        return [request for request in self._requests if request.sequence > applied_sequence]

    def clear(self) -> None:
        """Forget the session."""
        self.newest = None
        self._requests.clear()


class ResumableSession:
    """One session over several streams: how each begins, and the numbers of the commands.

    Attributes:
        backlog: the token and the commands that have to be kept.
        resuming: the present stream began with a token.
    """

    def __init__(self, backlog: Backlog | None = None) -> None:
        self.backlog = backlog or Backlog()
        self.resuming = False
        self._watching = False
        self._last_sequence = 0

    def begin(self, start: m.Start, window: int) -> m.Request:
        """Return the first request of a stream: it goes on with the session, or begins one from `start`."""
        newest = self.backlog.newest
        self._watching = bool(start.watch)
        self.resuming = newest is not None and not self._watching
        if newest is not None and self.resuming:
            return m.Request(m.Start(resume_token=newest.token, window=window), 0)
        return m.Request(replace(start, window=window), 1)

    def welcomed(self, applied_sequence: int, *, resumed: bool) -> list[m.Request]:
        """Return what is to be sent again on a stream that is open, before any other command."""
        if self.resuming and resumed:
            self._last_sequence = max(self._last_sequence, applied_sequence)
            return self.backlog.resend(applied_sequence)
        self.backlog.clear()
        self._last_sequence = max(applied_sequence, 1)
        return []

    def command(self, command: m.Command, at_step: int | None = None) -> m.Request:
        """Return the next command as a request, numbered and kept."""
        self._last_sequence += 1
        request = m.Request(command, self._last_sequence, at_step)
        self.backlog.sent(request)
        return request

    def token(self, token: m.ResumeToken) -> None:
        """Take a token that has come in, unless this session is only watched: it would take it over."""
        if not self._watching:
            self.backlog.token(token)

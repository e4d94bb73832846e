"""`python -m viewer_client.play`: a server of one's own and the viewer, opened and closed together.

Where there is no display, the scripted session is recorded to demo.gif instead.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import FrameType
from typing import IO

from diffusion_toy.console import escape_what_cannot_be_shown, packages_of
from diffusion_toy.errors import DiffusionToyError

with packages_of("viewer"):
    from diffusion_toy.contract import messages as m
    from viewer_client.flags import SECONDS_DEFAULT, STATUS_FAILURE, STATUS_INTERRUPTED
    from viewer_client.link.address import Endpoint
    from viewer_client.runners import record, show

SERVER_START_S = 120.0
SERVER_END_S = 10.0
LINES_SHOWN = 20
RECORDING = Path("demo.gif")
SERVER = (sys.executable, "-m", "inference_server", "--host", "127.0.0.1", "--port", "0", "--web-port", "0")


class ServerError(DiffusionToyError):
    """The local server did not come up, or ended early."""


class LocalServer:
    """A server as a child process; it ends with the `with` block.

    Args:
        command: prints `serving on HOST:PORT` once it is ready.
        start_s: how long that may take, seconds.
    """

    def __init__(self, command: tuple[str, ...] = SERVER, start_s: float = SERVER_START_S) -> None:
        self.address = ""
        self._command, self._start_s = command, start_s
        self._errors: deque[str] = deque(maxlen=LINES_SHOWN)
        self._ready = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> LocalServer:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert self._process.stdout is not None
            assert self._process.stderr is not None
            for pipe, read in (
                (self._process.stdout, self._read_output),
                (self._process.stderr, self._read_errors),
            ):
                thread = threading.Thread(target=read, args=(pipe,), daemon=True)
                thread.start()
                self._threads.append(thread)
            if not self._ready.wait(self._start_s):
                raise ServerError(self.explain(f"the server was not ready after {self._start_s:g} s"))
            if not self.address:
                self._process.wait(SERVER_END_S)
                self._threads[1].join(1.0)  # the last lines it wrote
                raise ServerError(self.explain(f"the server ended with status {self._process.returncode}"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SERVER_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for thread in self._threads:
            thread.join(1.0)

    @property
    def ended(self) -> bool:
        """Return whether the server has ended by itself."""
        return self._process.poll() is not None

    def explain(self, what: str) -> str:
        """Return what went wrong, with the server's own last words."""
        return "\n  ".join([what + (", it said:" if self._errors else ""), *self._errors])

    def _read_output(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                if found := re.fullmatch(r"serving on (\S+)\n?", line):
                    self.address = found[1]
                    self._ready.set()
                elif line.startswith("page: "):
                    _say(f"the same in a browser: {line.removeprefix('page: ').rstrip()}")
        self._ready.set()

    def _read_errors(self, pipe: IO[str]) -> None:
        with pipe:
            self._errors.extend(line.rstrip() for line in pipe)


def has_display() -> bool:
    """Return whether a window can be expected to open."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(line: str) -> None:
    """Print a line in one piece, because two threads print."""
    print(f"{line}\n", end="", flush=True)


def _show(server: LocalServer) -> bool:
    """Open the window; return False if there is no display after all."""
    from viewer_client.window.app import DisplayError

    _say(f"serving on {server.address}; opening the viewer (H shows the keys)")
    try:
        show(Endpoint(server.address), m.Start(), None, until=lambda: server.ended)
    except DisplayError as error:
        print(error, file=sys.stderr)
        return False
    if server.ended:
        raise ServerError(server.explain("the server ended while the viewer was open"))
    return True


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that every `with` block is left


def main() -> int:
    """Play until the window is closed; return the exit status."""
    escape_what_cannot_be_shown()
    said = "Play on this machine: a server and the viewer, or a recording where there is no display."
    argparse.ArgumentParser(prog="python -m viewer_client.play", description=said).parse_args()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminated)
    try:
        _say("starting a server on this machine …")
        with LocalServer() as server:
            if not (has_display() and _show(server)):
                _say(f"there is no display here: recording a session of {SECONDS_DEFAULT:g} s")
                print(record(Endpoint(server.address), m.Start(), RECORDING, SECONDS_DEFAULT))
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return STATUS_FAILURE
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m viewer_client.play`: a server of one's own and the viewer, opened and closed together.

Where there is no display, the scripted session is recorded to demo.gif instead.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from diffusion_toy.errors import DiffusionToyError
from viewer_client.__main__ import main as viewer

SERVER_START_S = 120.0
SERVER_END_S = 10.0
RECORDING = Path("demo.gif")


class ServerStartError(DiffusionToyError):
    """The local server did not come up."""


class LocalServer:
    """An inference server as a child process on a free port; ends with the `with` block."""

    def __init__(self) -> None:
        self.address = ""
        self._errors: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "inference_server", "--host", "127.0.0.1", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._ready = threading.Event()
        for pipe, read in (
            (self._process.stdout, self._read_output),
            (self._process.stderr, self._read_errors),
        ):
            threading.Thread(target=read, args=(pipe,), daemon=True).start()

    def _read_output(self, pipe: object) -> None:
        for line in pipe:  # type: ignore[attr-defined]
            if found := re.fullmatch(r"serving on (\S+)\n?", line):
                self.address = found[1]
                self._ready.set()
        self._ready.set()

    def _read_errors(self, pipe: object) -> None:
        for line in pipe:  # type: ignore[attr-defined]
            self._errors = [*self._errors[-19:], line]

    def __enter__(self) -> LocalServer:
        if not self._ready.wait(SERVER_START_S) or not self.address:
            self._end()
            time.sleep(0.1)  # let the last lines of its errors arrive
            raise ServerStartError("the server did not start:\n" + "".join(self._errors))
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SERVER_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def has_display() -> bool:
    """Whether a window can be expected to open."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that every `with` block is left


def main() -> int:
    """Play; the viewer's exit status."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        print("starting a server on this machine …", flush=True)
        with LocalServer() as server:
            if has_display():
                print(f"serving on {server.address}; opening the viewer (H shows the keys)", flush=True)
                status = viewer(["--server", server.address])
                if status != 1:
                    return status
            print("there is no display here, so the session is recorded instead", flush=True)
            return viewer(["--server", server.address, "--headless", "--record", str(RECORDING)])
    except DiffusionToyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

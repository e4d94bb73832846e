"""What several tests share: outside tools, the small real sample, tiny models, real servers."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "tests" / "data"  # 512 + 128 real MNIST images in MNIST's own format
SHIPPED_MODEL = ROOT / "inference_server" / "models" / "mnist.safetensors"
ARTEFACTS = ROOT / "artefacts"
SERVER = (sys.executable, "-m", "inference_server")
# What a test waits for comes long before these are over, also on a busy machine; only a hang reaches them.
SERVER_START_S = 60.0
HANGS_S = 100.0
PORTS = range(20000, 32000)
_ports = itertools.cycle(random.Random(os.getpid()).sample(PORTS, len(PORTS)))


def require_tool(name: str, install: str) -> str:
    """The path of an outside program; skips the test, with the line that installs it, if missing."""
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"{name} is not installed; run: {install}")
    return path


def free_port() -> int:
    """Return a TCP port of this machine on which nobody listens now, another one in each call.

    The ports lie below those that systems give to connections and to programs that ask for any port, and
    two processes that test at once look in different places.
    """
    for _ in range(len(PORTS)):
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port of {PORTS.start}…{PORTS.stop - 1} is free")


def wait_for(condition: Callable[[], object], what: str, seconds: float = HANGS_S) -> None:
    """Wait until `condition` holds, which it does sooner or later unless something hangs.

    Raises:
        AssertionError: it does not within `seconds`.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.01)


class ServerProcess:
    """A real `python -m inference_server` on a free port."""

    def __init__(
        self,
        *flags: str,
        command: Sequence[str] = SERVER,
        port: int = 0,
        start_s: float = SERVER_START_S,
        folder: Path = ROOT,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, "--port", str(port), *flags],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self.address = self._page = ""
        self._ready = threading.Event()
        self._threads = [
            threading.Thread(target=read, daemon=True) for read in (self._read_output, self._read_log)
        ]
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(start_s) or not self.address:
            self.stop()
            raise AssertionError("the server did not start:\n" + "".join(self.log))

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.fullmatch(r"serving on (\S+)\n", line):
                self.address = found[1]
                self._ready.set()
            if found := re.search(r"(https?://\S+)/", line):
                self._page = self._page or found[1]
        self._ready.set()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def page(self) -> str:
        """Where browsers find it, as in http://127.0.0.1:8080; needs the flag --web-port."""
        wait_for(lambda: self._page, "the page's address")
        return self._page

    def says(self, text: str) -> bool:
        """Whether any line of its log has this text."""
        return any(text in line for line in list(self.log))

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return status


@contextmanager
def running_server(*flags: str, command: Sequence[str] = SERVER, port: int = 0) -> Iterator[ServerProcess]:
    """A real server process for the length of a block."""
    server = ServerProcess(*flags, command=command, port=port)
    try:
        yield server
    finally:
        server.stop()


class Program:
    """A program whose output is kept, and that ends with its block whatever happens."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self, seconds: float) -> str:
        """Wait until it ends, and return all that it has said.

        Raises:
            subprocess.TimeoutExpired: it does not end within `seconds`.
        """
        said: str = self.process.communicate(timeout=seconds)[0]
        return said


@contextmanager
def running_program(command: Sequence[str]) -> Iterator[Program]:
    """Run a program for the length of a block; it is killed if it has not ended by then."""
    program = Program(command)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.kill()
        program.process.communicate()


@contextmanager
def virtual_display(width: int = 2400, height: int = 1400) -> Iterator[dict[str, str]]:
    """An Xvfb of one's own; yields the environment for programs on it."""
    xvfb = require_tool("Xvfb", "apt-get install xvfb")
    read_end, write_end = os.pipe()
    command = [xvfb, "-displayfd", str(write_end), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    command += ["-noreset"]  # when the last client leaves, Xvfb would turn the next one away for a moment
    process = subprocess.Popen(
        command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        yield {**os.environ, "DISPLAY": f":{number}", "SDL_AUDIODRIVER": "dummy"}
    finally:
        process.terminate()
        process.wait()

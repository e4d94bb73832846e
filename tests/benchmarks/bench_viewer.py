"""What the viewer costs: the drawing alone, and with --window a real window on a real server.

Drawing: pictures of fresh frames into a surface in memory, at 1100×720. Window: the viewer's own loop
on a virtual display, with a tiny model's server in another process; the share of a core is of all of the
viewer's threads, with events, gRPC and the pauses between two pictures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import numpy as np
import pygame

from diffusion_toy.contract import messages as m
from tests.benchmarks.environment import describe
from tests.models import write_model
from tests.tools import running_server, virtual_display
from tests.viewer_client.frames import WELCOME, frame
from viewer_client.core.appearance import Appearance, ColorMap
from viewer_client.core.feedback import Speckle
from viewer_client.core.strokes import MouseMode
from viewer_client.core.view_model import RENDER_RATE_HZ, ViewModel
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase, Statistics, Status
from viewer_client.window.app import App
from viewer_client.window.screen import Screen

SIZE = (1100, 720)
SERVER_FLAGS = ("--threads", "1", "--log-level", "warning")
Change = Callable[[ViewModel, int], None]  # what happens before the picture of this number


def frames(*, uneven: bool) -> Iterator[m.Frame]:
    """A run from noise to clean, again and again; with a stroke of the brush over it if `uneven`."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:28, 0:28]
    stroke = np.exp(-((rows - 12) ** 2 + (columns - 14) ** 2) / 40).astype(np.float32)
    step = 0
    while True:
        t = float(300 - step % 300)
        level = t / 300
        x_t = rng.standard_normal((1, 28, 28), dtype=np.float32)
        x0_hat = np.clip(rng.standard_normal((1, 28, 28), dtype=np.float32) / 2, -1, 1)
        made = frame(
            t, step=step, number=step + 1, x_t=x_t, x0_hat=x0_hat, first_kept_step=max(step - 120, 0)
        )
        made = replace(made, measured_by_residual=level, excess_kurtosis=0.1)
        if uneven:
            levels = np.clip(level * stroke, 0, 1)
            extent = m.Range(float(levels.min()), float(levels.mean()), float(levels.max()))
            time_step = m.Range(extent.min * 300, extent.mean * 300, extent.max * 300)
            made = replace(made, level_map=levels, nominal=extent, actual=extent, time_step=time_step)
        yield made
        step += 1


def stroke(model: ViewModel, number: int) -> None:
    """The brush moves and leaves speckle."""
    model.brush.mode = MouseMode.BRUSH
    center = 0.5 + 0.3 * np.sin(number / 9), 0.5 + 0.3 * np.cos(number / 7)
    model.pointer = center
    model.feedback.speckles.clear()
    model.feedback.speckles.extend(
        Speckle(10**9, m.Inject(m.Disc(*center, model.brush.radius), 10.0), 1e9) for _ in range(6)
    )
    model.feedback.marks.append(float(number % 300))


def nothing(model: ViewModel, number: int) -> None:
    """The mouse is elsewhere."""


CASES: tuple[tuple[str, bool, Appearance, Change], ...] = (
    ("one level", False, Appearance(), nothing),
    ("a stroke, heat, speckle", True, Appearance(heat=True, color_map=ColorMap.VIRIDIS), stroke),
    ("text twice as large", True, Appearance(text_scale=2.0), nothing),
)


def draw(pictures: int, *, uneven: bool, appearance: Appearance, change: Change) -> list[float]:
    """Milliseconds of processor time of each picture: what else the machine does matters less."""
    pygame.font.init()
    surface, screen, model, figures = (
        pygame.Surface(SIZE),
        Screen(appearance=appearance),
        ViewModel(),
        Statistics(),
    )
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    times = []
    warm_up = 200
    for number, made in zip(range(pictures + warm_up), frames(uneven=uneven), strict=False):
        model.receive(made)
        change(model, number)
        began = time.thread_time()
        assert screen.draw(surface, model, figures, 60.0, number / RENDER_RATE_HZ)
        times.append(1000 * (time.thread_time() - began))
    return times[warm_up:]


def rest(pictures: int) -> float:
    """Milliseconds of processor time, on average, of a picture in which nothing changes, at 60 a second."""
    pygame.font.init()
    surface, screen, model, figures = pygame.Surface(SIZE), Screen(), ViewModel(), Statistics()
    model.pass_time(Status(Phase.LIVE), now=0.0)
    model.receive(WELCOME)
    model.receive(frame(0.0, idle=True))
    began = time.thread_time()
    for number in range(pictures):
        screen.draw(surface, model, figures, 60.0, number / RENDER_RATE_HZ)
    return 1000 * (time.thread_time() - began) / pictures


def window(address: str, seconds: float, start: m.Start) -> tuple[float, float]:
    """Pictures drawn a second, and the share of a core, of a window on this server."""
    model = ViewModel(start=start)
    connection = Connection(Endpoint(address), model.next_start)
    app = App(model, connection, SIZE)
    connection.open()
    settled, began, spent, rates = time.monotonic() + 2.0, 0.0, 0.0, list[float]()

    def over() -> bool:
        nonlocal began, spent
        now = time.monotonic()
        if began == 0.0 and now >= settled:
            began, spent = now, time.process_time()
        if began:
            rates.append(app.pictures.get_fps())
        return began > 0 and now - began >= seconds

    try:
        app.run(over)
        return statistics.median(rates), (time.process_time() - spent) / (time.monotonic() - began)
    finally:
        connection.close()


def show_windows(seconds: float) -> None:
    """The table of real windows."""
    print("\n| window | drawn/s | share of a core |\n| --- | --- | --- |")
    endless = m.SettingsChange(num_time_steps=1000)
    with (
        tempfile.TemporaryDirectory() as folder,
        virtual_display() as environment,
        running_server(
            "--model", str(write_model(Path(folder) / "tiny.safetensors")), *SERVER_FLAGS
        ) as server,
    ):
        os.environ.update(DISPLAY=environment["DISPLAY"], SDL_AUDIODRIVER="dummy")
        paused = m.Start(motion=m.Motion.PAUSED)
        for name, address, start in (
            ("a session that plays", server.address, m.Start(settings=endless)),
            ("a session that rests", server.address, paused),
            ("no server", "127.0.0.1:9", m.Start()),
        ):
            rate, share = window(address, seconds, start)
            print(f"| {name} | {rate:.0f} | {100 * share:.0f} % |")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=600, help="of each case")
    parser.add_argument("--window", action="store_true", help="also real windows; needs Xvfb")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each window")
    args = parser.parse_args(argv)
    print(f"{describe()}; pygame {pygame.version.ver}, {SIZE[0]}×{SIZE[1]}, {args.pictures} pictures\n")
    print("| drawing | median, ms | p99, ms | share of a core at 60/s |\n| --- | --- | --- | --- |")
    for name, uneven, appearance, change in CASES:
        times = draw(args.pictures, uneven=uneven, appearance=appearance, change=change)
        median, p99 = statistics.median(times), float(np.quantile(times, 0.99))
        share = statistics.mean(times) / 1000 * RENDER_RATE_HZ
        print(f"| {name} | {median:.1f} | {p99:.1f} | {100 * share:.0f} % |")
    mean = rest(args.pictures)
    print(f"| an idle picture | {mean:.2f} (mean) | | {mean / 1000 * RENDER_RATE_HZ:.1%} |")
    if args.window:
        show_windows(args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What viewer and page must agree on: cases with their answers, as the viewer's code gives them.

`python -m tests.golden.cases` writes `cases.json`, which the tests of both read.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.contract.wire_json import request_to_json
from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.diffusion.schedule import make_schedule
from tests.golden.comparisons import branches, twins
from tests.viewer_client.frames import MODEL, WELCOME, frame
from viewer_client.core import gauge
from viewer_client.core.appearance import ColorMap
from viewer_client.core.colormaps import NOISE_LIMIT, colored, heated, signed
from viewer_client.core.history import Film, moment_of
from viewer_client.core.residual import density, residual_of
from viewer_client.core.schedules import time_steps_of
from viewer_client.core.strokes import Dab, MouseMode, Stroke, merged
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments.canvas import Canvas
from viewer_client.files.recipe_text import to_text
from viewer_client.link.status import window_for
from viewer_client.recipes.command_log import CommandLog, NoRecipeError
from viewer_client.recipes.recipe import NOTHING

FILE = Path(__file__).with_name("cases.json")
REVERSE, FORWARD, PAUSED = m.Motion.REVERSE, m.Motion.FORWARD, m.Motion.PAUSED
Case = dict[str, Any]


def _dab(dab: Dab) -> Case:
    return {"center": dab.center, "radius": dab.radius, "amount": dab.amount}


def strokes() -> list[Case]:
    """Paths of a pointer (None: lifted), and the dabs of each of their pieces."""
    draw = random.Random(1)
    wander = [(draw.random(), draw.random()) for _ in range(12)]
    paths: list[list[tuple[float, float] | None]] = [
        [(0.1, 0.1), (0.9, 0.1)],
        [(0.5, 0.5)],
        [(0.5, 0.5), (0.5, 0.5), (0.501, 0.5), (0.502, 0.5)],
        [(0.2, 0.2), (0.21, 0.2), (0.8, 0.6), None, (0.1, 0.9), (0.4, 0.9)],
        [*wander],
    ]
    settings = [(0.15, 30.0), (0.03, 2.0), (0.5, 300.0)]
    return [
        _stroke(path, mode, radius, strength)
        for path in paths for mode in MouseMode for radius, strength in settings
    ]  # fmt: skip


def _stroke(path: list[tuple[float, float] | None], mode: MouseMode, radius: float, strength: float) -> Case:
    stroke, pieces = Stroke(), []
    for point in path:
        if point is None:
            stroke.lift()
            pieces.append([])
        else:
            pieces.append([_dab(dab) for dab in stroke.move(point, mode, radius, strength)])
    return {"mode": mode.value, "radius": radius, "strength": strength, "path": path, "dabs": pieces}


def drawings() -> list[Case]:
    """Strokes on a canvas ([point, whether it erases]; None: lifted), and the picture that they make."""
    loop = [((0.3, 0.2), False), ((0.7, 0.25), False), ((0.45, 0.8), False)]
    rubbed = [*loop, None, ((0.5, 0.5), True), ((0.8, 0.9), True), None, ((0.9, 0.1), False)]
    found = []
    for shape, width, strokes in (
        ((1, 28, 28), 2.6, loop), ((1, 28, 28), 7.5, rubbed), ((3, 10, 16), 1.2, rubbed),
    ):  # fmt: skip
        canvas = Canvas(*shape)
        canvas.width = width
        for one in strokes:
            if one is None:
                canvas.lift()
            else:
                canvas.stroke(one[0], erase=one[1])
        found.append({"shape": shape, "width": width, "strokes": strokes, "content": list(canvas.content())})
    return found


def merges() -> list[Case]:
    """Dabs that wait, and what is left of them."""
    local = [Dab((n / 10, 0.5), 0.1, float(n + 1)) for n in range(10)]
    whole = Dab(None, 1.0, 7.5)
    lists = [[], local, [whole, *local[:3], whole], [whole], local[:1]]
    return [
        {"dabs": list(map(_dab, dabs)), "limit": limit, "merged": list(map(_dab, merged(dabs, limit)))}
        for dabs in lists for limit in (1, 3, 24)
    ]  # fmt: skip


def discs() -> list[Case]:
    """Which pixels a disc covers, as rows of 0 and 1."""
    places = [
        (m.Disc(0.5, 0.5, 0.15), 28, 28),
        (m.Disc(0.1, 0.9, 0.3), 10, 16),
        (m.Disc(0.5, 0.5, 0.01), 4, 4),
    ]
    return [
        {
            "disc": vars(disc), "height": height, "width": width,
            "inside": disc.covers(height, width).astype(int).ravel().tolist(),
        }
        for disc, height, width in places
    ]  # fmt: skip


def colors() -> Case:
    """Values and their colours in each map; ε̂ and the layer of time steps."""
    values = np.array([-3, -1, -0.9961, -0.5, -0.003, 0, 0.004, 0.25, 0.3, 0.999, 1, 2], np.float32)
    image = values.reshape(1, 3, 4)
    eps = np.linspace(-4, 4, 12, dtype=np.float32).reshape(1, 3, 4)
    known = np.arange(12).reshape(3, 4) % 5 != 1
    shares = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    rgb = np.stack([values, values[::-1], values * 0.5]).reshape(3, 3, 4)
    return {
        "values": values.tolist(),
        "maps": {one.value: colored(image, one).ravel().tolist() for one in ColorMap},
        "rgb": rgb.ravel().tolist(),
        "rgb_maps": {one.value: colored(rgb, one).ravel().tolist() for one in ColorMap},
        "eps": eps.ravel().tolist(),
        "known": known.astype(int).ravel().tolist(),
        "noise": signed(eps, NOISE_LIMIT, known).ravel().tolist(),
        "shares": shares.ravel().tolist(),
        "heated": heated(colored(image, ColorMap.GREY), shares).ravel().tolist(),
    }


def time_steps() -> list[Case]:
    """Levels and their time steps in some schedules."""
    levels = [0.0, 1e-4, 0.1, 0.333, 0.5, 0.77, 0.97, 1.0]
    found = []
    for kind, name, T in (("cosine", m.ScheduleName.COSINE, 10), ("linear", m.ScheduleName.LINEAR, 25)):
        schedule = m.Schedule(name, make_schedule(kind, T).alphas_cumprod)
        steps = time_steps_of(schedule, np.array(levels))
        table = schedule.alphas_cumprod.tolist()
        found.append({"alphas_cumprod": table, "levels": levels, "time_steps": steps.tolist()})
    return found


def residuals() -> list[Case]:
    """ε̂ of frames with one level and with many, and its histogram."""
    source = np.random.default_rng(0)
    found = []
    for levels in (None, np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)):
        x_t = source.normal(size=(1, 4, 4)).astype(np.float32)
        x0_hat = np.clip(source.normal(size=(1, 4, 4)), -1, 1).astype(np.float32)
        seen = frame(150.0, x_t=x_t, x0_hat=x0_hat, level_map=levels)
        residual = residual_of(seen)
        found.append({
            "x_t": x_t.ravel().tolist(), "x0_hat": x0_hat.ravel().tolist(), "level": seen.nominal.mean,
            "level_map": None if levels is None else levels.ravel().tolist(),
            "eps": residual.eps.ravel().tolist(), "known": residual.known.astype(int).ravel().tolist(),
            "density": density(residual).tolist(),
        })  # fmt: skip
    return found


def _even(level: float) -> m.Range:
    return m.Range(level, level, level)


def gauges() -> list[Case]:
    """Frames, the gauge's sentence about them, and what it says of the noise's shape."""
    some, spread, more = _even(0.5), m.Range(0.0, 0.1, 0.6), m.Range(0.0, 0.2, 0.9)
    frames = [
        (some, some, 0.51, 0.3, False), (some, some, None, None, False), (some, some, 0.58, None, False),
        (some, _even(0.7), 0.6, None, False), (_even(0.7), some, 0.6, None, False),
        (some, _even(0.7), 0.9, None, False), (_even(1.0), _even(1.0), None, 1.0, False),
        (_even(0.0), _even(0.0), None, 0.0, False), (_even(0.0), _even(0.4), None, None, False),
        (_even(0.4), _even(0.0), None, None, False), (spread, spread, None, 0.0, True),
        (spread, more, None, None, True), (more, spread, None, None, True),
        (_even(0.0), spread, None, None, False), (some, some, None, 0.1, False),
        (m.Range(0.1, 0.5, 0.6), m.Range(0.0, 0.5, 0.9), None, None, True),
    ]  # fmt: skip
    found = []
    for number, (told, real, by_residual, by_border, uneven) in enumerate(frames):
        kurtosis = (None, 0.1, -1.9, 3.0)[number % 4]
        seen = frame(
            nominal=told, actual=real, measured_by_residual=by_residual, measured_by_border=by_border,
            level_map=np.full((28, 28), 0.5, np.float32) if uneven else None, excess_kurtosis=kurtosis,
        )  # fmt: skip
        model = ViewModel(frame=seen)
        shapes = {str(n): gauge.noise_shape(seen, n) for n in (0, 100, 784)}
        found.append({
            "told": vars(told), "actual": vars(real), "by_residual": by_residual, "by_border": by_border,
            "uneven": uneven, "kurtosis": kurtosis, "sentence": gauge.sentence(model),
            "warns": gauge.warns(seen), "shapes": shapes,
        })  # fmt: skip
    return found


def films() -> list[Case]:
    """Frames of runs (step, t, seed, paused), and which steps the film then shows in so many cells."""
    run = [(step, max(300.0 - step, 0.0), 7, False) for step in range(0, 301, 3)]
    runs = {
        "a run": run,
        "gone back": [*run, (120, 180.0, 7, True), (121, 179.0, 7, False)],
        "begun again": [*run, (0, 300.0, 7, False), (9, 291.0, 7, False)],
        "another seed": [*run, (400, 0.0, 8, False)],
        "long": [(step, 300.0, 7, False) for step in range(0, 3000, 7)],
    }
    found = []
    for name, frames in runs.items():
        film = Film()
        for step, t, seed, paused in frames:
            seen = frame(t, step=step, seed=seed, motion=PAUSED if paused else REVERSE)
            film.add(seen, moment_of(seen))
        shown = {str(n): [still.step for still in film.shown(n)] for n in (1, 2, 7, 16, 200)}
        found.append({"name": name, "frames": frames, "shown": shown, "since": film.time_steps_since(100)})
    return found


class _Session:
    """Events of a session, as the viewer's notes take them and as JSON."""

    def __init__(self, start: m.Start | None = None, **welcome: Any) -> None:
        self.log, self.events, self.sequence, self.applied = CommandLog(), [], 1, 1
        self.welcome(start or m.Start(seed=7), **welcome)

    def welcome(self, start: m.Start, **changes: Any) -> None:
        self.log.asked_for(start)
        welcome = replace(WELCOME, settings=start.settings.apply_to(WELCOME.settings), **changes)
        self.log.received(welcome)
        change = m.SettingsChange(**vars(welcome.settings))
        self.events.append({
            "start": request_to_json(m.Request(replace(start, seed=None)))["start"],
            "session": welcome.session_id, "seed": str(welcome.seed), "resumed": welcome.resumed,
            "applied": welcome.applied_sequence, "model": MODEL.name, "fingerprint": MODEL.fingerprint,
            "settings": request_to_json(m.Request(m.Configure(change)))["configure"]["settings"],
        })  # fmt: skip

    def do(self, step: int, *commands: m.Command, then: int | None = None, told: bool = True) -> None:
        """Apply commands before this step; the next frame is of step `then`, and tells of them or not."""
        first = self.sequence + 1
        for command in commands:
            self.sequence += 1
            self.log.sent(command, self.sequence, 0.0, ahead=False)
            self.events.append({"sent": self.sequence, "request": request_to_json(m.Request(command))})
        applied = [(n, step) for n in range(first, self.sequence + 1)] if told else []
        self.frame(step if then is None else then, *applied)

    def frame(self, step: int, *applied: tuple[int, int]) -> None:
        self.applied = self.sequence
        seen = tuple(m.Applied(*one) for one in applied)
        self.log.received(frame(step=step, applied=seen, applied_sequence=self.applied))
        self.events.append({"frame": step, "applied": applied, "up_to": self.applied})

    def reject(self) -> None:
        """The last command was rejected."""
        self.log.received(m.Rejected(self.sequence, "f", "v", "l", "m"))
        self.events.append({"rejected": self.sequence})


def _logs() -> dict[str, _Session]:
    disc = m.Disc(0.3, 0.7, 0.2)
    inject = m.Inject(disc, 41.3, m.NoiseKind.LAPLACE, m.InjectionRule.NAIVE)
    found = {}

    plain = found["plain"] = _Session()
    plain.do(40, m.Inject(disc, 15.0), m.Inject(None, 22.5), then=50)
    plain.do(60, m.Configure(m.SettingsChange(guidance=2.3, sampler=m.Sampler.DDIM)), then=100)
    plain.frame(300)

    moves = found["moves"] = _Session()
    moves.do(10, m.Pause())
    moves.do(10, m.Step(), then=11)
    moves.do(11, m.Step(FORWARD), then=12)
    moves.do(12, m.Step(REVERSE, disc), then=13)
    moves.do(13, inject)
    moves.do(13, m.Play(FORWARD), then=20)
    moves.do(20, m.Play(REVERSE), then=30)
    moves.do(30, m.Jump(time_step=200.0))
    moves.do(30, m.Play(REVERSE), then=44)

    undone = found["undone"] = _Session()
    undone.do(50, inject, inject, then=60)
    undone.do(60, m.Configure(m.SettingsChange(label=3)), then=70)
    undone.do(70, m.Back(), then=69)
    undone.do(69, m.Jump(step=40), then=40)
    undone.do(40, m.Play(), then=45)
    undone.do(45, NOTHING, NOTHING, then=46)
    undone.do(46, m.Jump(time_step=10.0), then=20)

    seeded = m.Start(seed=2**62 + 1, origin=m.Origin(m.Example(4), 0.0), settings=m.SettingsChange(label=1))
    again = found["begun again"] = _Session(seeded, seed=2**62 + 1)
    again.do(5, inject, then=9)
    again.do(9, m.Restart(), then=0)
    again.do(3, m.Configure(m.SettingsChange(num_time_steps=1000, schedule=m.ScheduleName.LINEAR)), then=8)
    again.do(8, m.Restart(99, m.Origin(m.Pixels(b"\x00\x80\xff"), 250.5)), then=0)
    again.do(2, m.Inject(None, 0.1), then=3)

    multistep = found["multistep"] = _Session(
        m.Start(seed=7, settings=m.SettingsChange(sampler=m.Sampler.DPMPP))
    )
    multistep.do(5, m.Configure(m.SettingsChange(steps_per_second=10.0)), then=8)
    multistep.do(9, inject, then=9)
    multistep.do(9, m.Configure(m.SettingsChange(steps_per_second=60.0)), then=12)

    lost = found["resumed"] = _Session()
    lost.do(10, inject, then=20)
    lost.do(22, inject, then=30)
    lost.welcome(m.Start(seed=7), resumed=True, applied_sequence=2)
    lost.frame(15, (3, 24))
    lost.frame(30)

    vague = found["not told"] = _Session()
    vague.do(10, inject, told=False, then=14)
    vague.do(20, inject)
    vague.reject()
    vague.frame(33)

    found["elsewhere"] = _Session(resumed=True)
    found["elsewhere"].frame(3)
    return found


def recipes() -> list[Case]:
    """What happened in sessions, and the recipe's text; without one, None."""
    found = []
    for name, session in _logs().items():
        try:
            text: str | None = to_text(session.log.recipe())
        except NoRecipeError:
            text = None
        found.append({"name": name, "events": session.events, "recipe": text})
    return found


def windows() -> list[tuple[float, int]]:
    """Round trips in seconds, and the windows for them."""
    return [(s, window_for(s, 60.0, m.WINDOW_MAX)) for s in (0.0, 0.01, 0.05, 0.2, 1.0)]


def samplers() -> list[Case]:
    """Which samplers need the step before, and at which η their steps add noise."""
    etas = (0.0, 0.5, 1.0)
    return [
        {
            "sampler": int(sampler),
            "remembers": rule.remembers,
            "steps": [{"eta": eta, "stochastic": rule.is_stochastic(eta)} for eta in etas],
        }
        for sampler, rule in RULES.items()
    ]


def cases() -> Case:
    """Return all cases."""
    parts = (
        strokes, drawings, merges, discs, colors, time_steps, residuals, gauges, films, recipes, windows,
        branches, twins, samplers,
    )  # fmt: skip
    found: Case = json.loads(json.dumps({part.__name__: part() for part in parts}))
    return found


def main() -> None:
    """Write the file."""
    lines = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in cases().items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

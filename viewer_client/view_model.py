"""What the viewer knows and what it says, without a window and without a connection.

Input comes in as keys and as points of the picture; out come commands for the session and texts
for the screen.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from diffusion_toy import messages as m
from viewer_client.dosing import (
    RADIUS_DEFAULT,
    RADIUS_MAX,
    RADIUS_MIN,
    STRENGTH_DEFAULT,
    STRENGTH_MAX,
    STRENGTH_MIN,
    Dab,
    MouseMode,
    Stroke,
)
from viewer_client.geometry import Point
from viewer_client.keymap import Action, action_of

DABS_PER_FRAME = 8  # more wait for the next picture: 60 × 8 stays below the server's limit
SCHEDULES = ((m.ScheduleName.COSINE, 300), (m.ScheduleName.LINEAR, 300), (m.ScheduleName.LINEAR, 1000))
SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
LEVEL_TOLERANCE = 0.02  # claimed and real levels that differ by less count as equal
SEED_DRAW_MAX = 99_999  # drawn seeds are short enough to be read out in a class


def _kind_name(kind: m.NoiseKind) -> str:
    names = {m.NoiseKind.GAUSSIAN: "Gaussian", m.NoiseKind.LAPLACE: "Laplace", m.NoiseKind.SIGN: "±1"}
    return names.get(kind, kind.name.lower())


def _draw_seed() -> int:
    return random.randint(0, SEED_DRAW_MAX)


@dataclass(eq=False)
class ViewModel:
    """The state of one viewer.

    Attributes:
        mode, radius, strength, kind, rule: what moving the mouse does.
        pointer: the mouse in fractions of the picture, None outside it.
        outgoing: commands to be sent.
    """

    start: m.Start = field(default_factory=m.Start)
    draw_seed: Callable[[], int] = _draw_seed
    mode: MouseMode = MouseMode.WHOLE_IMAGE
    radius: float = RADIUS_DEFAULT
    strength: float = STRENGTH_DEFAULT
    kind: m.NoiseKind = m.NoiseKind.GAUSSIAN
    rule: m.InjectionRule = m.InjectionRule.TRUTH
    pointer: Point | None = None
    help_open: bool = False
    quit: bool = False
    notice: str = ""
    welcome: m.Welcome | None = None
    schedule: m.Schedule | None = None
    frame: m.Frame | None = None
    outgoing: deque[m.Command] = field(default_factory=deque)
    _dabs: deque[Dab] = field(default_factory=deque)
    _stroke: Stroke = field(default_factory=Stroke)
    _held: bool = False

    # --- from the connection ---

    def receive(self, response: m.Response) -> None:
        """Take in what the server said."""
        match response:
            case m.Welcome():
                self.welcome, self.schedule = response, response.schedule
                self.notice = ""
            case m.Schedule():
                self.schedule = response
            case m.Frame():
                self.frame = response
            case m.Rejected():
                self.notice = response.message

    def start_again(self) -> m.Start:
        """What to begin with after the connection was lost: the same seed and settings."""
        if self.frame is None:
            return self.start
        settings = m.SettingsChange(**vars(self.frame.settings))
        return m.Start(self.start.model, m.Origin(), self.frame.seed, settings, self.start.window)

    @property
    def settings(self) -> m.Settings:
        """The settings in force, as far as is known."""
        if self.frame is not None:
            return self.frame.settings
        return self.welcome.settings if self.welcome is not None else m.Settings()

    @property
    def num_time_steps(self) -> int:
        """T of the schedule in force."""
        return self.settings.num_time_steps

    # --- from the mouse ---

    def mouse_at(self, point: Point | None) -> None:
        """The mouse has moved to this point of the picture, or (None) is outside it."""
        self.pointer = point
        painting = self.mode is not MouseMode.BRUSH_HELD or self._held
        if point is None or not painting or self.help_open:
            self._stroke.lift()
            return
        self._dabs.extend(self._stroke.move(point, self.mode, self.radius, self.strength))

    def mouse_button(self, held: bool) -> None:
        """The mouse button went down or up."""
        self._held = held
        if self.mode is MouseMode.BRUSH_HELD:
            if held and self.pointer is not None:
                self.mouse_at(self.pointer)
            else:
                self._stroke.lift()

    def take_commands(self) -> list[m.Command]:
        """The commands to send now; called once for each picture that is drawn."""
        commands = list(self.outgoing)
        self.outgoing.clear()
        if self._dabs:
            self.notice = ""
        if self._dabs and self._dabs[0].center is None:  # whole image: amounts just add up
            amount = sum(dab.amount for dab in self._dabs if dab.center is None)
            self._dabs = deque(dab for dab in self._dabs if dab.center is not None)
            commands.append(self._inject(None, amount))
        for _ in range(min(DABS_PER_FRAME, len(self._dabs))):
            dab = self._dabs.popleft()
            assert dab.center is not None
            x, y = (min(max(c, 0.0), 1.0) for c in dab.center)
            commands.append(self._inject(m.Disc(x, y, dab.radius), dab.amount))
        return commands

    def _inject(self, disc: m.Disc | None, amount: float) -> m.Inject:
        return m.Inject(disc, min(amount, m.AMOUNT_MAX), self.kind, self.rule)

    # --- from the keyboard ---

    def key(self, key: str) -> None:
        """A key was pressed; see `keymap` for the names."""
        action = action_of(key)
        if action is not None:
            self._act(action, key)

    def _act(self, action: Action, key: str) -> None:
        self.notice = ""
        settings = self.settings
        match action:
            case Action.QUIT:
                self.quit = True
            case Action.HELP:
                self.help_open = not self.help_open
            case Action.CLOSE_OVERLAY:
                self.help_open = False
            case Action.MOUSE_MODE:
                self.mode = self.mode.next
                self._stroke.lift()
                self._dabs.clear()
            case Action.SMALLER_BRUSH:
                self.radius = max(self.radius / 1.2, RADIUS_MIN)
            case Action.LARGER_BRUSH:
                self.radius = min(self.radius * 1.2, RADIUS_MAX)
            case Action.WEAKER:
                self.strength = max(self.strength / 1.25, STRENGTH_MIN)
            case Action.STRONGER:
                self.strength = min(self.strength * 1.25, STRENGTH_MAX)
            case Action.NOISE_KIND:
                self.kind = m.NoiseKind(self.kind % len(m.NoiseKind) + 1)
            case Action.RULE:
                self.rule = m.InjectionRule(self.rule % len(m.InjectionRule) + 1)
            case Action.TOGGLE_PLAY:
                paused = self.frame is not None and self.frame.motion is m.Motion.PAUSED
                self.outgoing.append(m.Play() if paused else m.Pause())
            case Action.TOGGLE_DIRECTION:
                forward = self.frame is not None and self.frame.motion is m.Motion.FORWARD
                self.outgoing.append(m.Play(m.Motion.REVERSE if forward else m.Motion.FORWARD))
            case Action.STEP_REVERSE:
                self.outgoing.append(m.Step(m.Motion.REVERSE))
            case Action.STEP_FORWARD:
                self.outgoing.append(m.Step(m.Motion.FORWARD))
            case Action.RESTART:
                self.outgoing.append(m.Restart())
            case Action.NEW_SEED:
                self.outgoing.append(m.Restart(self.draw_seed(), m.Origin()))
            case Action.EXAMPLE:
                self._start_from_example()
            case Action.LABEL:
                self._choose_label(int(key))
            case Action.NO_LABEL:
                self._configure(label=m.NO_LABEL)
            case Action.SAMPLER:
                ddpm = settings.sampler is m.Sampler.DDPM
                self._configure(sampler=m.Sampler.DDIM if ddpm else m.Sampler.DDPM)
            case Action.SCHEDULE:
                now = (settings.schedule, settings.num_time_steps)
                index = SCHEDULES.index(now) if now in SCHEDULES else -1
                schedule, num_time_steps = SCHEDULES[(index + 1) % len(SCHEDULES)]
                self._configure(schedule=schedule, num_time_steps=num_time_steps)
            case Action.SLOWER:
                slower = [s for s in SPEEDS if s < settings.steps_per_second]
                self._configure(steps_per_second=slower[-1] if slower else SPEEDS[0])
            case Action.FASTER:
                fastest = self.welcome.limits.tick_rate_hz if self.welcome else SPEEDS[-1]
                faster = [s for s in SPEEDS if s > settings.steps_per_second and s <= fastest]
                self._configure(steps_per_second=faster[0] if faster else fastest)
            case Action.LESS_GUIDANCE:
                self._configure(guidance=max(settings.guidance - 0.5, 0.0))
            case Action.MORE_GUIDANCE:
                self._configure(guidance=min(settings.guidance + 0.5, m.GUIDANCE_MAX))

    def _configure(self, **changes: object) -> None:
        self.outgoing.append(m.Configure(m.SettingsChange(**changes)))  # type: ignore[arg-type]

    def _choose_label(self, label: int) -> None:
        classes = len(self.welcome.model.label_names) if self.welcome is not None else 10
        if label >= classes:
            self.notice = f"this model has the classes 0…{classes - 1}"
            return
        self._configure(label=label)
        if self.frame is not None and self.frame.time_step.max == 0:
            self.notice = f"class {self._label_name(label)} is chosen: add noise to use it"

    def _start_from_example(self) -> None:
        if self.welcome is not None and not self.welcome.model.has_examples:
            self.notice = "this model comes without real pictures"
            return
        self.outgoing.append(m.Restart(self.draw_seed(), m.Origin(m.Example(), 0.0)))
        self.outgoing.append(m.Play(m.Motion.FORWARD))

    # --- texts ---

    def _label_name(self, label: int) -> str:
        if label == m.NO_LABEL:
            return "any"
        names = self.welcome.model.label_names if self.welcome is not None else ()
        return names[label] if label < len(names) else str(label)

    @property
    def time_step_text(self) -> str:
        """The time step, always shown: the largest t, and the range where it varies."""
        if self.frame is None:
            return "t –"
        t = self.frame.time_step
        text = f"t {_whole(t.max)}/{self.num_time_steps}"
        return text if self.frame.level_map is None else f"{text}  (from {_whole(t.min)})"

    @property
    def session_line(self) -> str:
        """Seed, class, sampler, schedule and speed in one line."""
        settings, frame = self.settings, self.frame
        if frame is None:
            return ""
        parts = [f"seed {frame.seed}", f"class {self._label_name(settings.label)}"]
        if settings.label != m.NO_LABEL and settings.guidance != 1:
            parts.append(f"guidance {settings.guidance:g}")
        parts.append(settings.sampler.name)
        parts.append(f"{settings.schedule.key} {settings.num_time_steps}")
        fastest = self.welcome.limits.tick_rate_hz if self.welcome is not None else SPEEDS[-1]
        if settings.steps_per_second < fastest:
            parts.append(f"{settings.steps_per_second:g} steps/s")
        return " · ".join(parts)

    @property
    def mouse_lines(self) -> tuple[tuple[str, str], ...]:
        """What the mouse does, as (name, value)."""
        radius = "–" if self.mode is MouseMode.WHOLE_IMAGE else f"{self.radius * 100:.0f} % of the side"
        return (
            ("mouse (M)", self.mode.value),
            ("radius ([ ])", radius),
            ("strength (Up, Down)", f"{self.strength:.0f} time steps"),
            ("noise (K)", _kind_name(self.kind)),
            ("rule (T)", self.rule.name.lower()),
        )

    @property
    def state_sentence(self) -> str:
        """What is going on, in words."""
        frame = self.frame
        if frame is None:
            return "waiting for the first picture"
        if frame.motion is m.Motion.PAUSED:
            return "paused: Space plays, Right and Left take one step"
        if frame.motion is m.Motion.FORWARD:
            return (
                "all noise: F denoises" if frame.resting else "noising: a little noise goes in at every step"
            )
        if frame.resting:
            return "finished: move the mouse over the picture to add noise"
        return "denoising: a little noise comes out at every step"

    @property
    def gauge_sentence(self) -> str:
        """Whether what the model is told agrees with what is in the picture."""
        frame = self.frame
        if frame is None:
            return ""
        differences = (
            frame.bookkept.mean - frame.claimed.mean,
            frame.bookkept.max - frame.claimed.max,
        )
        difference = max(differences, key=abs)
        if abs(difference) < LEVEL_TOLERANCE:
            return "the model is told the truth about the noise"
        word = "noisier" if difference > 0 else "cleaner"
        return f"the image is {word} than the model is told"


def _whole(t: float) -> str:
    """A time step in whole numbers, rounded up: 0 is shown only where nothing is left to do."""
    return str(math.ceil(t - 1e-3))

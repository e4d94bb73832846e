"""What was done in the running session, noted as it is sent and as it is applied; the recipe is made of it.

`CommandLog` keeps the commands; `_Reconstruction` goes through them as the server has, and keeps what
matters to the picture. No connection, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.errors import DiffusionToyError
from viewer_client.core.keymap import Action, cap
from viewer_client.recipes.recipe import NOTHING, Entry, Ingredient, Recipe, Undone

KEPT_MAX = 20_000  # commands of a run; a recipe of more would be too large anyway
KEPT_LEFT = 2_000  # of the newest, after a clearing out
TOO_MANY = (
    "this run has more commands than a recipe holds; "
    f"{cap(Action.RESTART)} or {cap(Action.NEW_SEED)} starts a new run"
)
ELSEWHERE = (
    "this session goes on from another one, and a recipe tells of one alone; "
    f"{cap(Action.NEW_SEED)} starts a new one"
)
WATCHED = "the recipe of a session that you watch is its owner's"
NO_PICTURE = "there is no picture yet"


class NoRecipeError(DiffusionToyError):
    """Nothing exact enough to be called a recipe is known; the text is for the user."""


@dataclass
class _Logged:
    """A command that was sent.

    Attributes:
        step: the step before which it was applied, None as long as it is not known to have been.
        told: the server has named the step; otherwise it is an upper bound.
        rejected: the command has changed nothing.
    """

    sequence: int
    command: m.Command
    step: int | None = None
    told: bool = False
    rejected: bool = False


@dataclass(frozen=True)
class _RunStart:
    """How a run starts. An origin of None is not known; `unknown` says why the run has no recipe."""

    seed: int
    origin: m.Origin | None
    settings: m.Settings
    motion: m.Motion = m.Motion.REVERSE
    unknown: str = ""


class CommandLog:
    """Notes of one session, of as many runs as it has restarts.

    Args:
        most: commands that are kept; then the older ones are cleared out.
        left: how many of the newest are then left.
    """

    def __init__(self, most: int = KEPT_MAX, left: int = KEPT_LEFT) -> None:
        self._most, self._left = most, left
        self.runs = 0  # rises with each start and each restart that has been applied
        self._start = m.Start()
        self._session_id = ""
        self._model: m.ModelInfo | None = None
        self._run_start: _RunStart | None = None
        self._reason = NO_PICTURE
        self._logged: dict[int, _Logged] = {}  # by sequence, rising
        self._waiting: dict[int, _Logged] = {}  # those that have not been applied
        self._step: int | None = None  # of the newest frame

    @property
    def kept(self) -> int:
        """Return how many commands are kept."""
        return len(self._logged)

    def asked_for(self, start: m.Start) -> None:
        """Take note of what the next stream begins with, unless it goes on with a session."""
        self._start = start

    def received(self, response: m.Response) -> None:
        """Take note of a response."""
        match response:
            case m.Welcome():
                self._receive_welcome(response, self._start)
            case m.Frame():
                self._receive_frame(response)
            case m.Rejected():
                self._receive_rejection(response.sequence)

    def _receive_welcome(self, welcome: m.Welcome, start: m.Start) -> None:
        if welcome.watching:
            self._run_start, self._reason = None, WATCHED
        elif not welcome.resumed or welcome.session_id != self._session_id:
            known, self._session_id = not welcome.resumed, welcome.session_id
            self._model, self._reason = welcome.model, NO_PICTURE
            self._run_start = _RunStart(
                seed=welcome.seed,
                origin=start.origin if known else None,
                settings=welcome.settings,
                motion=start.motion,
                unknown="" if known else ELSEWHERE,
            )
            self._logged.clear()
            self._waiting.clear()
            self._step = None
            self.runs += 1
        else:
            self._go_back(welcome.applied_sequence)

    def _go_back(self, applied_sequence: int) -> None:
        """Go back to where these commands had been applied; the others are sent again."""
        for logged in self._logged.values():
            if logged.sequence > applied_sequence:
                logged.step, logged.told, logged.rejected = None, False, False
                self._waiting[logged.sequence] = logged
        self._waiting = dict(sorted(self._waiting.items()))

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Take note of a command that has been sent with this number."""
        if self._run_start is not None:
            self._logged[sequence] = self._waiting[sequence] = _Logged(sequence, command)
            if self.kept > self._most:
                self._clear_out()

    def _receive_frame(self, frame: m.Frame) -> None:
        self._step = frame.step
        for applied in frame.applied:
            logged = self._logged.get(applied.sequence)
            if logged is not None:
                self.runs += isinstance(logged.command, m.Restart) and logged.step is None
                logged.step, logged.told = applied.step, True
                self._waiting.pop(applied.sequence, None)
        while self._waiting and next(iter(self._waiting)) <= frame.applied_sequence:
            logged = self._waiting.pop(next(iter(self._waiting)))
            if not logged.rejected:
                self.runs += isinstance(logged.command, m.Restart)
                logged.step = frame.step

    def _receive_rejection(self, sequence: int) -> None:
        if (logged := self._logged.get(sequence)) is not None:
            logged.step, logged.told, logged.rejected = None, False, True

    def recipe(self) -> Recipe:
        """Return how the picture of the newest frame came to be.

        Raises:
            NoRecipeError: that is not known.
        """
        if self._run_start is None or self._model is None or self._step is None:
            raise NoRecipeError(self._reason)
        commands = self._applied(self._logged.values())
        rebuilt = _Reconstruction(self._run_start)
        rebuilt.read(commands, self._step)
        run_start = rebuilt.run_start
        if run_start.unknown or run_start.origin is None:
            raise NoRecipeError(run_start.unknown or ELSEWHERE)
        everything = {f.name: getattr(run_start.settings, f.name) for f in fields(m.Settings)}
        return Recipe(
            start=m.Start(
                model=self._model.name,
                origin=run_start.origin.within(run_start.settings.num_time_steps),
                seed=run_start.seed,
                settings=m.SettingsChange(**{**everything, "steps_per_second": None}),
            ),
            fingerprint=self._model.fingerprint,
            entries=tuple(rebuilt.entries),
            steps=rebuilt.step,
            inexact=rebuilt.doubt,
        )

    @staticmethod
    def _applied(commands: Iterable[_Logged]) -> list[_Logged]:
        return [logged for logged in commands if logged.step is not None]

    def _clear_out(self) -> None:
        """Forget what no recipe needs any more: what was before the last restart but for the newest."""
        assert self._run_start is not None
        old = self._applied(list(self._logged.values())[: -self._left])
        rebuilt = _Reconstruction(self._run_start)
        last = max((n for n, logged in enumerate(old) if isinstance(logged.command, m.Restart)), default=None)
        if last is None:
            last = len(old) - 1
            rebuilt.read(old, rebuilt.step)
            self._run_start = replace(rebuilt.run_start, settings=rebuilt.settings, unknown=TOO_MANY)
        else:
            rebuilt.read(old[: last + 1], rebuilt.step)
            self._run_start = rebuilt.run_start
        for logged in old[: last + 1]:
            del self._logged[logged.sequence]


@dataclass
class _Reconstruction:
    """Rebuilds what the server has made of a row of commands, as far as it matters to the picture."""

    run_start: _RunStart
    entries: list[Entry] = field(default_factory=list)
    step: int = 0
    doubt: str = ""  # why the recipe may not be exact

    def __post_init__(self) -> None:
        self._begin(self.run_start)

    def _begin(self, run_start: _RunStart) -> None:
        self.run_start = run_start
        self.entries, self.step, self.doubt = [], 0, ""
        self.settings = run_start.settings
        self._motion = run_start.motion  # what the session does by itself
        self._single: m.Step | None = None  # what it does next, before it pauses
        self._direction = m.Motion.REVERSE  # of the steps, by the entries
        self._numbered = 0  # injections that the session has counted
        self._untold = 0

    def read(self, commands: Sequence[_Logged], step: int) -> None:
        """Go through commands that have been applied, up to a frame of this step."""
        for number, logged in enumerate(commands):
            assert logged.step is not None
            following = commands[number + 1].step if number + 1 < len(commands) else step
            assert following is not None
            self._reach(logged.step)
            if not logged.told:
                self._untold += 1
                self.doubt = f"the server did not say when {self._untold} of the commands took effect"
            self._apply(logged.command, following)
        self._reach(step)

    def _reach(self, step: int) -> None:
        """Take all steps before this one."""
        if step > self.step:
            if isinstance(self._single, m.Step) and self._single.disc is not None:
                self.entries.append(Entry(self.step, self._single))
            elif self._single is not None:
                self._go(self._single.direction)
            elif self._motion is not m.Motion.PAUSED:
                self._go(self._motion)
            if self._motion is m.Motion.PAUSED and step > self.step + (self._single is not None):
                self.doubt = self.doubt or "the session has taken steps of which it is not known why"
            self.step = step
        elif step < self.step:
            self.doubt = self.doubt or "the session has gone back, and it is not known why"
        self._single = None

    def _go(self, direction: m.Motion) -> None:
        if direction is not self._direction:
            self.entries.append(Entry(self.step, m.Play(direction)))
            self._direction = direction

    def _apply(self, command: m.Command, following: int) -> None:
        """Apply a command at the present step; the next one was applied at step `following`."""
        match command:
            case m.Play(direction):
                self._motion = direction
            case m.Pause():
                self._motion = m.Motion.PAUSED
            case m.Step():
                self._motion, self._single = m.Motion.PAUSED, command
            case m.Inject():
                self._numbered += 1
                if command == NOTHING:
                    self._add_undone(1)
                else:
                    self._add(command)
            case m.Configure(change):
                before, self.settings = self.settings, change.apply_to(self.settings)
                self._add_change(before)
            case m.Back():
                self._return_to(self.step - 1)
            case m.Jump(step, _):
                self._motion = m.Motion.PAUSED
                target = following if step is None else step  # it stays there until the next command
                if target < self.step:
                    self._return_to(target)
                elif step is None:
                    self._numbered += 1
                    self._add(command)
            case m.Restart(seed, origin):
                now = self.run_start
                seed, origin = now.seed if seed is None else seed, origin or now.origin
                unknown = now.unknown if origin is None else ""
                self._begin(_RunStart(seed, origin, self.settings, unknown=unknown))

    def _add(self, what: Ingredient) -> None:
        self.entries.append(Entry(self.step, what))

    def _add_undone(self, injections: int) -> None:
        if self.entries and self.entries[-1].step == self.step:
            last = self.entries[-1].what
            if isinstance(last, Undone):
                self.entries.pop()
                injections += last.injections
        self._add(Undone(injections))

    def _add_change(self, before: m.Settings) -> None:
        """Note those of the new settings that the picture depends on.

        A multistep sampler takes its next step without the one before after any change, even of the speed.
        """
        names = [f.name for f in fields(m.Settings) if f.name != "steps_per_second"]
        pairs = ((name, getattr(before, name), getattr(self.settings, name)) for name in names)
        travels = np.float32  # what differs by less is the same to the server
        changed = {name: after for name, then, after in pairs if travels(then) != travels(after)}
        change = m.SettingsChange(**changed)
        forgotten = (
            bool(self.entries)
            and self.entries[-1].step == self.step
            and isinstance(self.entries[-1].what, m.Inject | m.Configure | Undone)
        )
        if change != m.SettingsChange() or (RULES[self.settings.sampler].remembers and not forgotten):
            self._add(m.Configure(change))

    def _return_to(self, step: int) -> None:
        """Take back the state before this step; settings and numbers stay as they are."""
        kept = [
            entry
            for entry in self.entries
            if entry.step < step or (entry.step == step and not isinstance(entry.what, m.Play | m.Step))
        ]
        self.entries, self.step, self._motion = kept, step, m.Motion.PAUSED
        settings, counted, self._direction = self.run_start.settings, 0, m.Motion.REVERSE
        for entry in kept:
            match entry.what:
                case m.Configure(change):
                    settings = change.apply_to(settings)
                case m.Play(direction):
                    self._direction = direction
                case m.Inject() | m.Jump():
                    counted += 1
                case Undone(injections):
                    counted += injections
        if self._numbered > counted:
            self._add_undone(self._numbered - counted)
        self._add_change(settings)

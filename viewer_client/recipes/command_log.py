"""What was done in the running session, noted as it is sent and as it is applied; the recipe is made of it.

`CommandLog` keeps the commands; `_Account` goes through them as the server has, and keeps what matters to
the picture. No connection, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from viewer_client.core.keymap import Action, cap
from viewer_client.recipes.recipe import NOTHING, Entry, Ingredient, Recipe, Undone

NOTES_MAX = 20_000  # commands of a run; a recipe of more would be too large anyway
NOTES_LEFT = 2_000  # of the newest, after a clearing out
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
class _Note:
    """A command that was sent.

    Attributes:
        step: before which it was applied, None as long as it is not known to have been.
        told: the server has said so; otherwise `step` is a guess from above.
        rejected: it has changed nothing.
    """

    sequence: int
    command: m.Command
    step: int | None = None
    told: bool = False
    rejected: bool = False


@dataclass(frozen=True)
class _Beginning:
    """Where a run starts. An origin of None is not known; `unknown` says why the rest is not."""

    seed: int
    origin: m.Origin | None
    settings: m.Settings
    motion: m.Motion = m.Motion.REVERSE
    unknown: str = ""


class CommandLog:
    """Notes of one session, of as many runs as it has restarts.

    Args:
        most: commands that are kept; then the older ones are cleared out.
        left: of the newest, after that.
    """

    def __init__(self, most: int = NOTES_MAX, left: int = NOTES_LEFT) -> None:
        self._most, self._left = most, left
        self.runs = 0  # rises with each start and each restart that has been applied
        self._start = m.Start()
        self._session_id = ""
        self._model: m.ModelInfo | None = None
        self._beginning: _Beginning | None = None
        self._reason = NO_PICTURE
        self._notes: dict[int, _Note] = {}  # by sequence, rising
        self._waiting: dict[int, _Note] = {}  # those that have not been applied
        self._step: int | None = None  # of the newest frame

    @property
    def kept(self) -> int:
        """Return how many commands are kept."""
        return len(self._notes)

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
            self._beginning, self._reason = None, WATCHED
        elif not welcome.resumed or welcome.session_id != self._session_id:
            known, self._session_id = not welcome.resumed, welcome.session_id
            self._model, self._reason = welcome.model, NO_PICTURE
            self._beginning = _Beginning(
                seed=welcome.seed,
                origin=start.origin if known else None,
                settings=welcome.settings,
                motion=start.motion,
                unknown="" if known else ELSEWHERE,
            )
            self._notes.clear()
            self._waiting.clear()
            self._step = None
            self.runs += 1
        else:
            self._go_back(welcome.applied_sequence)

    def _go_back(self, applied_sequence: int) -> None:
        """Go back to where these commands had been applied; the others are sent again."""
        for note in self._notes.values():
            if note.sequence > applied_sequence:
                note.step, note.told, note.rejected = None, False, False
                self._waiting[note.sequence] = note
        self._waiting = dict(sorted(self._waiting.items()))

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Take note of a command that has been sent with this number."""
        if self._beginning is not None:
            self._notes[sequence] = self._waiting[sequence] = _Note(sequence, command)
            if self.kept > self._most:
                self._clear_out()

    def _receive_frame(self, frame: m.Frame) -> None:
        self._step = frame.step
        for applied in frame.applied:
            note = self._notes.get(applied.sequence)
            if note is not None:
                self.runs += isinstance(note.command, m.Restart) and note.step is None
                note.step, note.told = applied.step, True
                self._waiting.pop(applied.sequence, None)
        while self._waiting and next(iter(self._waiting)) <= frame.applied_sequence:
            note = self._waiting.pop(next(iter(self._waiting)))
            if not note.rejected:
                self.runs += isinstance(note.command, m.Restart)
                note.step = frame.step

    def _receive_rejection(self, sequence: int) -> None:
        if (note := self._notes.get(sequence)) is not None:
            note.step, note.told, note.rejected = None, False, True

    def recipe(self) -> Recipe:
        """Return how the picture of the newest frame came to be.

        Raises:
            NoRecipeError: that is not known.
        """
        if self._beginning is None or self._model is None or self._step is None:
            raise NoRecipeError(self._reason)
        notes = self._applied(self._notes.values())
        account = _Account(self._beginning)
        account.read(notes, self._step)
        beginning = account.beginning
        if beginning.unknown or beginning.origin is None:
            raise NoRecipeError(beginning.unknown or ELSEWHERE)
        origin, T = beginning.origin, beginning.settings.num_time_steps
        if origin.time_step is not None:  # which may be of an earlier schedule
            origin = replace(origin, time_step=min(origin.time_step, float(T)))
        everything = {f.name: getattr(beginning.settings, f.name) for f in fields(m.Settings)}
        return Recipe(
            start=m.Start(
                model=self._model.name,
                origin=origin,
                seed=beginning.seed,
                settings=m.SettingsChange(**{**everything, "steps_per_second": None}),
            ),
            fingerprint=self._model.fingerprint,
            entries=tuple(account.entries),
            steps=account.step,
            inexact=account.doubt,
        )

    @staticmethod
    def _applied(notes: Iterable[_Note]) -> list[_Note]:
        return [note for note in notes if note.step is not None]

    def _clear_out(self) -> None:
        """Forget what no recipe needs any more: what was before the last restart but for the newest."""
        assert self._beginning is not None
        old = self._applied(list(self._notes.values())[: -self._left])
        account = _Account(self._beginning)
        last = max((n for n, note in enumerate(old) if isinstance(note.command, m.Restart)), default=None)
        if last is None:
            last = len(old) - 1
            account.read(old, account.step)
            self._beginning = replace(account.beginning, settings=account.settings, unknown=TOO_MANY)
        else:
            account.read(old[: last + 1], account.step)
            self._beginning = account.beginning
        for note in old[: last + 1]:
            del self._notes[note.sequence]


@dataclass
class _Account:
    """What the server has made of a row of commands, as far as it matters to the picture."""

    beginning: _Beginning
    entries: list[Entry] = field(default_factory=list)
    step: int = 0
    doubt: str = ""  # why the recipe may not be exact

    def __post_init__(self) -> None:
        self._begin(self.beginning)

    def _begin(self, beginning: _Beginning) -> None:
        self.beginning = beginning
        self.entries, self.step, self.doubt = [], 0, ""
        self.settings = beginning.settings
        self._motion = beginning.motion  # what the session does by itself
        self._single: m.Step | None = None  # what it does next, before it pauses
        self._direction = m.Motion.REVERSE  # of the steps, by the entries
        self._numbered = 0  # injections that the session has counted
        self._untold = 0

    def read(self, notes: Sequence[_Note], step: int) -> None:
        """Go through commands that have been applied, up to a frame of this step."""
        for number, note in enumerate(notes):
            assert note.step is not None
            following = notes[number + 1].step if number + 1 < len(notes) else step
            assert following is not None
            self._reach(note.step)
            if not note.told:
                self._untold += 1
                self.doubt = f"the server did not say when {self._untold} of the commands took effect"
            self._apply(note.command, following)
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
                now = self.beginning
                seed, origin = now.seed if seed is None else seed, origin or now.origin
                unknown = now.unknown if origin is None else ""
                self._begin(_Beginning(seed, origin, self.settings, unknown=unknown))

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
        if change != m.SettingsChange() or (self.settings.sampler.multistep and not forgotten):
            self._add(m.Configure(change))

    def _return_to(self, step: int) -> None:
        """Take back the state before this step; settings and numbers stay as they are."""
        kept = [
            entry
            for entry in self.entries
            if entry.step < step or (entry.step == step and not isinstance(entry.what, m.Play | m.Step))
        ]
        self.entries, self.step, self._motion = kept, step, m.Motion.PAUSED
        settings, counted, self._direction = self.beginning.settings, 0, m.Motion.REVERSE
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

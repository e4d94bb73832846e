"""The tour: four things to do and to look at, each of which is over when it has been done. No PyGame.

It only looks on. `sent` and `look` tell it what the user has asked for and what came of it; what is said
meanwhile is in `tour.json`, for the page as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

from diffusion_toy.contract import messages as m
from viewer_client.core.keymap import Action, cap

NOISY_SHARE = 0.25  # of T: a picture that is noisier than this has yet to form
FELT_SHARE = 0.1  # of T: less noise than this is hardly seen to heal
MISTOLD_LEVEL = 0.03  # actual above told, from which the difference can be seen
FULL_SHARE = 0.9  # of T: there is no room for more noise than told
DOSE_SHARE, DOSE_LEAST_SHARE = 0.5, 0.25  # of T: the tour's single dose, and what counts as one
SHAPED_KINDS = (m.NoiseKind.SMOOTH, m.NoiseKind.CONSTANT)


class Stage(IntEnum):
    """Where the tour is."""

    FORM = 1
    HEAL = 2
    MISTELL = 3
    SHAPE = 4
    OVER = 5


NUM_STAGES = 4


@dataclass(frozen=True)
class Caption:
    """What is on show: a title and one or two sentences, which say what to look at and promise nothing."""

    title: str
    text: str


# The words are shared with the page, which fills in its own names for the things to press.
_WORDS = json.loads(Path(__file__).with_name("tour.json").read_text("utf-8"))["en"]
_NAMES = {
    "play": cap(Action.TOGGLE_PLAY),
    "direction": cap(Action.TOGGLE_DIRECTION),
    "new_seed": cap(Action.NEW_SEED),
    "restart": cap(Action.RESTART),
    "kind": cap(Action.NOISE_KIND),
    "rule": cap(Action.RULE),
    "dose": "Enter",
    "close": cap(Action.CLOSE_OVERLAY),
    "stroke": "Move the mouse",
    "gaussian": m.NoiseKind.GAUSSIAN.words,
    "uniform": m.NoiseKind.UNIFORM.words,
    "smooth": m.NoiseKind.SMOOTH.words,
    "constant": m.NoiseKind.CONSTANT.words,
    "truth": m.InjectionRule.TRUTH.words,
    "naive": m.InjectionRule.NAIVE.words,
}
_MORE = f" {cap(Action.CANVAS)} lets you draw a picture, {cap(Action.HELP)} lists all keys."


def _caption(stage: Stage) -> Caption:
    words = _WORDS["captions"][stage.name.lower()]
    more = _MORE if stage is Stage.OVER else ""
    return Caption(words["title"], words["text"].format(**_NAMES) + more)


def _todo(name: str) -> str:
    return str(_WORDS["todos"][name]).format(**_NAMES)


CAPTIONS = {stage: _caption(stage) for stage in Stage}


class Todo(StrEnum):
    """What to do next, in words."""

    PLAY = _todo("play")
    RUN_BACK = _todo("run_back")
    BEGIN = _todo("begin")
    SEE = _todo("see")
    TOUCH = _todo("touch")
    MORE = _todo("more")
    TOO_MUCH = _todo("too_much")
    GAUSSIAN = _todo("gaussian")
    TRUTH = _todo("truth")
    NAIVE = _todo("naive")
    SHAPED = _todo("shaped")
    FRESH = _todo("fresh")
    WAIT = _todo("wait")
    DOSE = _todo("dose")
    END = _todo("end")


@dataclass(frozen=True)
class Situation:
    """What the viewer shows at a moment.

    Attributes:
        frame: the newest one, None before the first.
        motion: what the session does, with what is on its way.
        kind, rule: what the mouse adds.
        session: the session's name; with another one, sequence numbers begin again.
        live: there is a connection.
    """

    frame: m.Frame | None
    motion: m.Motion = m.Motion.REVERSE
    kind: m.NoiseKind = m.NoiseKind.GAUSSIAN
    rule: m.InjectionRule = m.InjectionRule.TRUTH
    session: str = ""
    live: bool = True


class Tour:
    """Goes from stage to stage as things are done, in whatever order they are tried.

    Attributes:
        stage: the present stage.
    """

    def __init__(self) -> None:
        self.stage = Stage.FORM
        self._situation = Situation(None)
        self._since = 0  # frames in which this command has not been applied yet are of the past
        self._noisy = False  # a picture that forms has been seen
        self._last: int | None = None  # the newest command that did what the stage is about
        self._felt = False  # its noise has been in a picture
        self._spoilt = False  # with noise of which the network was told wrongly

    # --- what happens ---

    def received(self, response: m.Response) -> None:
        """Do nothing: what came of the commands is told by `observe`."""

    def sent(self, command: m.Command, sequence: int, now: float, *, ahead: bool) -> None:
        """Take note of a command that has been sent with this number."""
        match command:
            case m.Inject():
                self._spoilt = self._spoilt or command.rule is not m.InjectionRule.TRUTH
                if self._counts(command):
                    self._last = sequence
                elif self._disturbs(command):
                    self._forget(sequence)
            case m.Restart() | m.Back() | m.Jump():  # what is seen from then on comes of something else
                self._spoilt = self._spoilt and not isinstance(command, m.Restart)
                self._forget(sequence)

    def observe(self, situation: Situation) -> None:
        """Take in the moment; the stage may change."""
        if situation.session != self._situation.session:
            self._forget(0)
            self._spoilt = False
        self._situation = situation
        frame = situation.frame
        if frame is None or not situation.live or frame.applied_sequence < self._since:
            return
        if self.stage is Stage.FORM:
            self._noisy = self._noisy or frame.time_step.max >= NOISY_SHARE * frame.settings.num_time_steps
            done = self._noisy
        else:
            applied = self._last is not None and frame.applied_sequence >= self._last
            self._felt = self._felt or (applied and self._is_felt(frame))
            done = applied and self._felt
        if done and frame.time_step.max == 0 and self.stage is not Stage.OVER:
            self.stage = Stage(self.stage + 1)
            self._forget(self._since)

    def _forget(self, since: int) -> None:
        """Begin the stage again, with the frames in which this command has been applied."""
        self._since, self._noisy, self._last, self._felt = since, False, None, False

    def _counts(self, inject: m.Inject) -> bool:
        """Say whether an injection does what the stage is about."""
        gaussian, truth = inject.kind is m.NoiseKind.GAUSSIAN, inject.rule is m.InjectionRule.TRUTH
        match self.stage:
            case Stage.HEAL:
                return gaussian and truth
            case Stage.MISTELL:
                return gaussian and inject.rule is m.InjectionRule.NAIVE
            case Stage.SHAPE:
                large = inject.disc is None and inject.amount >= DOSE_LEAST_SHARE * self._num_time_steps
                return large and truth and inject.kind in SHAPED_KINDS
            case _:
                return False

    def _disturbs(self, inject: m.Inject) -> bool:
        """Say whether an injection that does not count spoils what was done before."""
        match self.stage:
            case Stage.HEAL:
                return True
            case Stage.MISTELL:
                return inject.rule is m.InjectionRule.LIE
            case Stage.SHAPE:
                return inject.rule is not m.InjectionRule.TRUTH
            case _:
                return False

    def _is_felt(self, frame: m.Frame) -> bool:
        if self.stage is Stage.MISTELL:
            return frame.actual.max - frame.nominal.max >= MISTOLD_LEVEL
        return frame.time_step.max >= FELT_SHARE * frame.settings.num_time_steps

    @property
    def _num_time_steps(self) -> int:
        frame = self._situation.frame
        return m.Settings().num_time_steps if frame is None else frame.settings.num_time_steps

    # --- what is said ---

    @property
    def caption(self) -> Caption:
        """Return what the stage is about."""
        return CAPTIONS[self.stage]

    @property
    def progress(self) -> str:
        """Return how far the tour is, for instance "2/4"."""
        return f"{min(self.stage, NUM_STAGES)}/{NUM_STAGES}"

    @property
    def todo(self) -> str:
        """Return what to do next; "" while there is nothing to do but to wait for the connection."""
        situation, frame = self._situation, self._situation.frame
        if not situation.live or frame is None:
            return ""
        if self.stage is Stage.OVER:
            return Todo.END
        if self.stage is Stage.FORM:
            return self._until_clean(Todo.SEE) or Todo.BEGIN
        if self._felt:
            return self._until_clean(Todo.SEE) or Todo.SEE
        if self.stage is Stage.SHAPE:
            return self._todo_of_dose(situation)
        if situation.kind is not m.NoiseKind.GAUSSIAN:
            return Todo.GAUSSIAN
        if self.stage is Stage.HEAL and situation.rule is not m.InjectionRule.TRUTH:
            return Todo.TRUTH
        if self.stage is Stage.MISTELL and situation.rule is not m.InjectionRule.NAIVE:
            return Todo.NAIVE
        full = frame.time_step.max >= FULL_SHARE * frame.settings.num_time_steps
        if self.stage is Stage.MISTELL and full:
            return Todo.TOO_MUCH
        return Todo.TOUCH if self._last is None else Todo.MORE

    def _todo_of_dose(self, situation: Situation) -> Todo:
        if self._spoilt:
            return Todo.FRESH
        if situation.rule is not m.InjectionRule.TRUTH:
            return Todo.TRUTH
        if situation.kind not in SHAPED_KINDS:
            return Todo.SHAPED
        return self._until_clean(Todo.WAIT) or Todo.DOSE

    def _until_clean(self, words: Todo) -> Todo | None:
        """Return what is needed for t to become 0: `words` if nothing, None if it is 0 already."""
        situation, frame = self._situation, self._situation.frame
        assert frame is not None
        if situation.motion is m.Motion.FORWARD:
            return Todo.RUN_BACK
        if frame.time_step.max == 0:
            return None
        return Todo.PLAY if situation.motion is m.Motion.PAUSED else words

    @property
    def dose(self) -> float | None:
        """Return how many time steps of noise the tour's key adds now, None where it does nothing."""
        situation, frame = self._situation, self._situation.frame
        if frame is None or not situation.live or frame.time_step.max > 0:
            return None
        if self.stage is Stage.SHAPE:
            ready = self._todo_of_dose(situation) is Todo.DOSE
        else:
            ready = self.stage is Stage.OVER and situation.rule is m.InjectionRule.TRUTH
        return DOSE_SHARE * frame.settings.num_time_steps if ready else None

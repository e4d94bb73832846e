"""Branches: continuations of one moment side by side, each with a seed of its own. No PyGame, no gRPC.

The session is paused; its resume token of that moment begins each branch. Early in the process they come to
different pictures, late ones to the same: this is where the picture is decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

import numpy as np

from diffusion_toy.contract import messages as m
from diffusion_toy.diffusion.samplers import RULES
from viewer_client.core import labels
from viewer_client.core.keymap import Action, cap
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments import extra_session
from viewer_client.experiments.extra_session import ExtraSession
from viewer_client.link.session_link import OpenLink, SessionLink

BRANCHES = 8
TOKEN_S = 5.0  # how long the server may take to send the moment's token
# Correlation over the pixels of two pictures, from which on they count as alike. Of 588 pairs of finished
# branches of the shipped model (three seeds, from t = 290, 250, 200, 160, 120, 80 and 40), 90 % of those that
# a classifier takes for one digit have it; of the other 129 pairs 13, of which 12 are a four and near a nine.
ALIKE = 0.8
FINISHED = "the picture is finished, so there is only one way on: add noise to it first"
NO_TOKEN = "the server did not send what branches begin from; check that it makes resume tokens"


class Progress(Enum):
    """How far the branches have come."""

    PAUSING = auto()  # the session is to pause, and its token is awaited
    OPENING = auto()
    RUNNING = auto()
    FINISHED = auto()


@dataclass(frozen=True)
class Agreement:
    """How alike some pictures are.

    Attributes:
        correlation: correlation of the pixels of two pictures, −1…1, as the mean over all pairs.
        alike: size of the largest group of pictures that correlate with one of them by `ALIKE` or more.
        same: no pixel differs between any two.
    """

    correlation: float
    alike: int
    same: bool


def agreement(pictures: Sequence[m.Image]) -> Agreement:
    """Return how alike two or more pictures (C, H, W) are; a constant one is only like its equal."""
    flat = np.stack([picture.ravel() for picture in pictures]).astype(np.float64)  # (N, C·H·W)
    equal = (flat[:, None, :1] == flat[None, :, :1])[..., 0]
    centred = flat - flat.mean(1, keepdims=True)
    length = np.sqrt((centred**2).sum(1))
    constant = length <= 1e-6
    centred /= np.where(constant, 1, length)[:, None]
    correlation = np.clip(centred @ centred.T, -1, 1)  # (N, N)
    correlation = np.where(constant[:, None] & constant[None] & equal, 1.0, correlation)
    pairs = correlation[np.triu_indices(len(flat), 1)]
    return Agreement(
        correlation=float(pairs.mean()),
        alike=int((correlation >= ALIKE).sum(1).max()),
        same=bool((flat == flat[0]).all()),
    )


def seeds_of(seed: int, count: int = BRANCHES) -> list[int]:
    """Return the seeds of a session's branches: those that follow its own."""
    return [(seed + 1 + number) % (m.SEED_MAX + 1) for number in range(count)]


def obstacle(model: ViewModel) -> str:
    """Return why there can be no branches now, as a sentence; "" if there can."""
    reason = extra_session.obstacle(model.frame, model.status, replaying=model.replay is not None)
    if reason or model.frame is None:
        return reason
    return FINISHED if model.frame.time_step.max == 0 else ""


@dataclass
class Branch(ExtraSession):
    """One continuation."""

    seed: int = field(kw_only=True)

    @property
    def finished(self) -> bool:
        """Say whether the branch has come to a clean picture."""
        return self.frame is not None and self.frame.idle and self.frame.time_step.max == 0


class Branches:
    """From the moment B was pressed until they are closed; `model` is the window's and `own` its link.

    Attributes:
        stage: how far the branches have come.
        origin: the frame they all come from, None until the session is paused.
        branches: those that the server has room for.
        closed: the branches are over; the model's notice says why, unless the user closed them.
    """

    def __init__(self, model: ViewModel, own: SessionLink, open_link: OpenLink) -> None:
        self._model, self._own, self._open = model, own, open_link
        self.stage = Progress.PAUSING
        self.origin: m.Frame | None = None
        self.branches: list[Branch] = []
        self.closed = False
        self._was_playing = model.motion is not m.Motion.PAUSED
        self._before = model.last_sequence
        self._token_deadline = math.inf
        self._compared: tuple[m.Frame, ...] = ()
        self._agreement: Agreement | None = None
        model.pause()

    def update(self, now: float) -> None:
        """Take in what has come of all sessions; called once for each picture; `now` is in seconds."""
        if self.closed:
            return
        if not self._model.status.live:
            self._end(f"the branches are gone: {self._model.status.sentence or 'the server is lost'}")
        elif self.stage is Progress.PAUSING:
            self._await_token(now)
        else:
            self._update_branches()

    def _await_token(self, now: float) -> None:
        model, frame, token = self._model, self._model.frame, self._own.resume_token
        if self._token_deadline == math.inf:
            self._token_deadline = now + TOKEN_S
        sent = model.last_sequence
        paused = frame is not None and frame.applied_sequence >= sent and frame.motion is m.Motion.PAUSED
        if sent > self._before and paused and token is not None and token.sequence >= sent:
            assert frame is not None
            self.origin, self.stage = frame, Progress.OPENING
            start = m.Start(resume_token=token.token)
            self.branches = [
                Branch(self._open(replace(start, seed=seed)), seed=seed) for seed in seeds_of(frame.seed)
            ]
        elif now > self._token_deadline:
            self._end(NO_TOKEN)

    def _update_branches(self) -> None:
        for branch in list(self.branches):
            if branch.update():  # it is paused, as in the token; or, after a loss, where it had come to
                branch.link.send(m.Play(m.Motion.REVERSE))
            if not branch.joined and branch.failed:
                self.branches.remove(branch)
                branch.close()
                if not self.branches:
                    full, reason = branch.link.full, branch.link.status.sentence
                    self._end("the server has no room for branches" if full else f"no branches: {reason}")
                    return
        if self.stage is Progress.OPENING and all(branch.joined for branch in self.branches):
            self.stage = Progress.RUNNING
        frames = tuple(branch.frame for branch in self.branches if branch.frame is not None)
        if self.stage is Progress.RUNNING and all(branch.finished for branch in self.branches):
            self.stage = Progress.FINISHED
        if frames != self._compared:
            self._compared = frames
            self._agreement = agreement([frame.x0_hat for frame in frames]) if len(frames) > 1 else None

    def adopt(self, branch: Branch) -> None:
        """Go on with this one in the window; the others, and the session they come from, end.

        Not before it runs: what is on its way to it would be lost.
        """
        token = branch.link.resume_token
        runs = branch.frame is not None and branch.frame.motion is m.Motion.REVERSE
        if self.closed or token is None or not runs or branch.failed or not self._model.status.live:
            return
        self._model.switched_session(branch.seed)
        self._own.take_over(token)
        self.branches.remove(branch)
        branch.close(keep_session=True)
        self._was_playing = False
        self._end(f"you go on with the branch of seed {branch.seed}")

    def close(self) -> None:
        """End the branches; the session that was paused for them plays on."""
        if not self.closed:
            self._end(self._model.notice)

    def _end(self, notice: str) -> None:
        self.closed = True
        self._model.notice = notice
        for branch in self.branches:
            branch.close()
        if self._was_playing:
            self._model.play()

    # --- in words ---

    @property
    def title(self) -> str:
        """Return in words where the branches come from."""
        if self.origin is None:
            return "ways on from this moment"
        t = f"t {labels.whole(self.origin.time_step.max)}/{self.origin.settings.num_time_steps}"
        return f"{len(self.branches)} ways on from {t}" if len(self.branches) > 1 else f"a way on from {t}"

    @property
    def room(self) -> str:
        """Return how many branches the server took in, "" where it took them all."""
        few = 0 < len(self.branches) < BRANCHES
        return f"the server has room for {len(self.branches)} of {BRANCHES}" if few else ""

    @property
    def sentence(self) -> str:
        """Return in words what goes on, and in the end what came of it."""
        if self.stage is Progress.PAUSING:
            return "the session is paused; waiting for the server's copy of this moment …"
        if self.stage is Progress.OPENING or self.origin is None:
            return f"opening {len(self.branches)} sessions that go on from here …"
        if self._agreement is None:
            return "a single way on says nothing about the others" if len(self.branches) == 1 else ""
        if self.stage is Progress.RUNNING:
            done = sum(branch.finished for branch in self.branches)
            done_text = f"{done} of {len(self.branches)} finished; " if done else ""
            return f"{done_text}mean correlation of their guesses {_signed(self._agreement.correlation)}"
        return outcome(self._agreement, len(self.branches), self.origin)


def outcome(result: Agreement, count: int, origin: m.Frame) -> str:
    """Return in words what came of all the branches."""
    t, settings = labels.whole(origin.time_step.max), origin.settings
    if result.same:
        if RULES[settings.sampler].is_stochastic(settings.eta):
            return f"all {count} are the same: at t {t} nothing was left open"
        name = settings.sampler.words
        only = f"{name} adds no noise, so there is only one way on ({cap(Action.SAMPLER)} changes that)"
        return f"all {count} are the same: {only}"
    figure = f"(mean correlation {_signed(result.correlation)})"
    if result.alike == count:
        return f"all {count} look alike {figure}: at t {t} the picture was decided"
    if result.alike == 1:
        return f"no two look alike {figure}: at t {t} nothing was decided yet"
    return f"{result.alike} of {count} look alike {figure}: at t {t} the picture was not decided yet"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")

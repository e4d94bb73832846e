"""A twin: a second session that begins with the same seed, gets the same commands and differs in one thing.

Each command goes to both, meant for the same step (`Request.at_step`), some steps ahead of both. So the
one thing is all that differs, and pictures of the same step can be set side by side. No PyGame, no gRPC.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from itertools import takewhile

from diffusion_toy.contract import messages as m
from viewer_client.core import labels
from viewer_client.core.brush import Painting
from viewer_client.core.geometry import Point
from viewer_client.core.keymap import Action, cap
from viewer_client.core.view_model import ViewModel
from viewer_client.experiments import extra_session
from viewer_client.experiments.difference import (
    Difference,
    Treatment,
    apart,
    differing,
    first_twin,
    next_twin,
    root_mean_square,
)
from viewer_client.experiments.extra_session import ExtraSession
from viewer_client.link.session_link import OpenLink, SessionLink

LEAD_S = 0.1  # how far ahead of both sessions a command is meant for, beside the round trip
INJECTIONS_PER_STEP = 8  # the server takes as many of one session in a tick without letting it step on
LATE = f"a command reached only one of the two in time: {cap(Action.RESTART)} starts both again"

Move = m.Play | m.Pause | m.Step
Pair = tuple[m.Frame, m.Frame]


class Side:
    """One of the two: what it has shown, and which of the commands that both get it has applied."""

    def __init__(self, link: SessionLink) -> None:
        self.link = link
        self.frames: list[m.Frame] = []
        self.sequences: list[int] = []  # of the commands that both get, in their order
        self.steps: dict[int, int] = {}  # at which each was applied, until that has been compared

    def observe(self) -> None:
        """Take note of what has come in."""
        before, self.frames = self.newest, self.link.recent
        for frame in takewhile(lambda frame: frame is not before, reversed(self.frames)):
            self.steps.update({applied.sequence: applied.step for applied in frame.applied})

    @property
    def newest(self) -> m.Frame | None:
        """Its newest frame."""
        return self.frames[-1] if self.frames else None

    @property
    def caught_up(self) -> bool:
        """All that was sent is in the newest frame."""
        return bool(self.frames) and self._count(self.frames[-1]) == len(self.sequences)

    def moment(self, frame: m.Frame) -> tuple[int, int]:
        """What it has in common with the other's frame of the same moment: commands applied, and steps."""
        return self._count(frame), frame.step

    def _count(self, frame: m.Frame) -> int:
        return bisect_right(self.sequences, frame.applied_sequence)


def newest_pair(own: Side, twin: Side) -> Pair | None:
    """The newest moment that both have shown, None if there is none."""
    shown = {twin.moment(frame): frame for frame in twin.frames}
    for frame in reversed(own.frames):
        if (other := shown.get(own.moment(frame))) is not None:
            return frame, other
    return None


def last_step(frame: m.Frame) -> int:
    """A step that the session reaches for certain, however little noise is added to it."""
    left = 0 if frame.idle else int(frame.time_step.max / frame.settings.stride) - 1
    return frame.step + max(left, 0)


class Twin:
    """From the moment J was pressed until it is closed; `model` is the window's and `own` its link.

    Attributes:
        what: differs.
        treatment, other: of the window's session, of its twin.
        pair: the newest frames of the same moment, which are to be shown.
        parted: a command did not reach both in time, so that more than `what` differs.
        closed: it is over; why is in the model's notice, if it was not the user.
    """

    def __init__(
        self, model: ViewModel, own: SessionLink, open_link: OpenLink, what: Difference = Difference.KIND
    ) -> None:
        assert model.frame is not None
        assert model.welcome is not None
        self._model = model
        settings = model.settings
        self.what = what
        self.treatment = Treatment(model.brush.kind, model.brush.rule, settings.sampler, settings.label)
        self.label_names = model.welcome.model.label_names
        self.other = first_twin(self.treatment, what, len(self.label_names))
        self.pair: Pair | None = None
        self.diverged = self.closed = False
        self._seed, self._origin = model.frame.seed, model.start.origin
        everything = m.SettingsChange(**vars(settings))
        start = m.Start(
            model=model.welcome.model.name,
            origin=self._origin,
            seed=self._seed,
            settings=everything,
            motion=m.Motion.PAUSED,  # until both begin
        )
        self._extra = ExtraSession(open_link(start))
        self._sides = self._own, self._twin = Side(own), Side(self._extra.link)
        self._begun = False
        self._playing = True
        self._touched = False
        self._moves: deque[Move] = deque()
        self._painting = Painting(model.brush)
        self._beginning = False  # a restart is on its way
        self._stopping = False  # a command is on its way, or at work, that ends in a rest
        self._meant: deque[tuple[int, int]] = deque()  # sequences of what is to land at the same step
        self._ahead, self._at_ahead = 0, 0  # the step commands were last meant for; injections of them
        self._now = 0.0

    # --- from the user ---

    def choose(self, what: Difference) -> None:
        """Let this differ."""
        if what is not self.what:
            self.what = what
            self._treat(first_twin(self.treatment, what, len(self.label_names)))

    def next_difference(self) -> None:
        """The next of what can differ."""
        order = list(Difference)
        self.choose(order[(order.index(self.what) + 1) % len(order)])

    def change(self, what: Difference) -> None:
        """The next value of this for the twin, or the first if something else has differed until now."""
        if what is self.what:
            self._treat(next_twin(self.treatment, self.other, what, len(self.label_names)))
        else:
            self.choose(what)

    def choose_label(self, label: int) -> None:
        """Let the twin draw this class."""
        if m.NO_LABEL <= label < len(self.label_names) and label != self.treatment.label:
            self.what = Difference.LABEL
            self._treat(differing(self.treatment, Difference.LABEL, label))

    def _treat(self, other: Treatment) -> None:
        self.other = other
        self.restart()

    def restart(self) -> None:
        """Begin both anew."""
        if self._begun:
            self._begin()

    def new_seed(self) -> None:
        """Begin both anew, with another seed."""
        self._seed, self._origin = self._model.draw_seed(), m.Origin()
        self.restart()

    def toggle_play(self) -> None:
        """Let both rest, or run."""
        self._moves.append(m.Pause() if self._playing else m.Play())
        self._playing = not self._playing

    def step(self) -> None:
        """Let both take a single step, and rest."""
        self._moves.append(m.Step())
        self._playing = False

    def mouse_at(self, point: Point | None) -> None:
        """The mouse has moved to this point of the left picture, or (None) is outside it."""
        if point is None or not self._painting.paints:
            self._painting.lift()
        elif self._begun:
            self._painting.move(point)

    def mouse_button(self, point: Point | None, held: bool) -> None:
        """The mouse button went down or up."""
        if self._painting.button(held):
            self.mouse_at(point)

    def close(self) -> None:
        """End the twin; the window's session goes on as it is."""
        if not self.closed:
            self._end(self._model.notice)

    def _end(self, notice: str) -> None:
        self.closed = True
        self._model.notice = notice
        self._extra.close()

    # --- once for each picture of the window ---

    def update(self, now: float) -> None:
        """Take in what both have shown and send what is to be sent; `now` in seconds."""
        if self.closed:
            return
        self._now = now
        self._extra.update()
        status, twin = self._model.status, self._extra
        if not status.live:
            self._end(f"the twin is gone: {status.sentence or 'the server is lost'}")
        elif twin.failed:
            reason, full = twin.link.status.sentence, twin.link.full
            verb = "the twin is gone" if twin.joined else "there is no twin"
            self._end("the server has no room for a twin" if full else f"{verb}: {reason}")
        else:
            self._own.observe()
            self._twin.observe()
            self._check()
            if not self._begun and twin.frame is not None:
                self._begin()
            self._send_waiting()
            if self._begun and not self.closed:
                self.pair = newest_pair(self._own, self._twin) or self.pair

    def _begin(self) -> None:
        """Both anew, from the same seed and origin."""
        self._begun = self._playing = self._beginning = True
        self.diverged = self._touched = self._stopping = False
        self._moves.clear()
        self._painting.drop()
        self._meant.clear()
        self._ahead = self._at_ahead = 0
        self._extra.link.send(m.Configure(self.other.settings))
        again = m.Restart(self._seed, self._origin)
        if self._to_both(again, again, None):
            self._model.restarted(self._seed, self._origin)

    def _check(self) -> None:
        """Whether what was meant for the same step has reached both at it."""
        own, twin = self._own, self._twin
        while self._meant and own.newest is not None and twin.newest is not None:
            first, second = self._meant[0]
            if own.newest.applied_sequence < first or twin.newest.applied_sequence < second:
                break
            self._meant.popleft()
            self.diverged |= own.steps.pop(first, None) != twin.steps.pop(second, None)

    def _send_waiting(self) -> None:
        if not self._moves and not self._painting:
            return
        own, twin = self._own.newest, self._twin.newest
        if own is None or twin is None:
            return
        caught_up = self._own.caught_up and self._twin.caught_up
        at_rest = own.idle and twin.idle
        if (self._beginning and not caught_up) or (self._stopping and not (caught_up and at_rest)):
            return
        self._beginning = self._stopping = False
        if own.idle or twin.idle:
            if at_rest and caught_up:
                self._send_at_rest(own.step if own.step == twin.step else None)
            return
        ahead = max(max(own.step, twin.step) + self._lead(), self._ahead)
        if ahead <= min(last_step(own), last_step(twin)):
            self._send_ahead(ahead)

    def _lead(self) -> int:
        """Steps that a command needs to be there in time, at the rate that the server reaches."""
        round_trip_s = max(side.link.statistics.round_trip_ms or 0.0 for side in self._sides) / 1000
        frames = [frame for side in self._sides for frame in side.frames]
        least_s = min(frame.server_ms for frame in frames) / 1000  # of a tick; others may be as fast
        rate_hz = min(frames[0].settings.steps_per_second, 1 / max(least_s, 1e-3))
        return math.ceil((LEAD_S + round_trip_s) * rate_hz) + 1

    def _send_at_rest(self, step: int | None) -> None:
        """Both rest. Where they would run as soon as they can, they are held until all is there."""
        held = bool(self._painting) and not self._moves and self._playing
        if held:
            self._to_both(m.Pause(), m.Pause(), step)
        if self._moves:
            self._send_move(step)
        else:
            self._send_dabs(INJECTIONS_PER_STEP, step)
        if held:
            self._to_both(m.Play(), m.Play(), step)

    def _send_ahead(self, step: int) -> None:
        """Both run."""
        if step > self._ahead:
            self._ahead, self._at_ahead = step, 0
        self._at_ahead += self._send_dabs(INJECTIONS_PER_STEP - self._at_ahead, step)
        if self._moves:
            self._send_move(step)

    def _send_move(self, step: int | None) -> None:
        move = self._moves.popleft()
        self._stopping = not isinstance(move, m.Play)
        self._to_both(move, move, step)

    def _send_dabs(self, most: int, step: int | None) -> int:
        """The first of the strokes' dabs; how many."""
        now = self._painting.take(min(most, self._model.dabs_per_frame))
        for dab in now:
            self._touched = self._to_both(self.treatment.inject(dab), self.other.inject(dab), step)
        return len(now)

    def _to_both(self, command: m.Command, twins: m.Command, step: int | None) -> bool:
        """Send it, to land at this step if there is one; whether both got it."""
        if self.closed:
            return False
        first, second = self._own.link.send(command, step), self._twin.link.send(twins, step)
        if first is not None:
            self._model.sent(command, first, self._now)
        if first is None or second is None:
            self._end("the twin is gone: a connection was lost")
            return False
        self._own.sequences.append(first)
        self._twin.sequences.append(second)
        if not isinstance(command, m.Restart):
            self._meant.append((first, second))
        return True

    # --- in words ---

    @property
    def sentence(self) -> str:
        """What there is to see."""
        if self.pair is None:
            return "the twin joins; both will begin anew with the same seed …"
        if self.diverged:
            return LATE
        first, second = self.pair
        rms = root_mean_square(second.x0_hat - first.x0_hat)
        return apart(rms, self.what, touched=self._touched)

    @property
    def figure(self) -> str:
        """The difference of the guesses as a number, its root mean square."""
        if self.pair is None:
            return "–"
        first, second = self.pair
        return f"{root_mean_square(second.x0_hat - first.x0_hat):.2f}"

    def time_steps(self) -> tuple[str, str]:
        """t of both."""
        if self.pair is None:
            return "t –", "t –"
        first, second = (labels.whole(frame.time_step.max) for frame in self.pair)
        return f"t {first}", f"t {second}"


def obstacle(model: ViewModel) -> str:
    """Why there can be no twin now, as a sentence; "" if there can."""
    return extra_session.obstacle(model.frame, model.status, replaying=model.replay is not None)

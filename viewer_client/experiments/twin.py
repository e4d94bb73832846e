"""A twin: a second session with the same seed and the same commands, which differs in one thing.

Each command goes to both sessions and is scheduled for the same step (`Request.at_step`), some steps ahead
of both. So nothing else differs, and pictures of the same step can be compared. No PyGame, no gRPC.
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
    difference_sentence,
    differing,
    first_twin,
    next_twin,
    root_mean_square,
)
from viewer_client.experiments.extra_session import ExtraSession
from viewer_client.link.session_link import OpenLink, SessionLink

LEAD_S = 0.1  # how far ahead of both sessions a command is scheduled, beside the round trip
DIVERGED = f"a command reached only one of the two in time: {cap(Action.RESTART)} starts both again"

Move = m.Play | m.Pause | m.Step
Pair = tuple[m.Frame, m.Frame]


class Side:
    """One of the two sessions: what it has shown, and which of the shared commands it has applied."""

    def __init__(self, link: SessionLink) -> None:
        self.link = link
        self.frames: list[m.Frame] = []
        self.sequences: list[int] = []  # of the commands that both sessions get, in their order
        self.steps: dict[
            int, int
        ] = {}  # by sequence: the step at which it was applied, until that has been compared

    def observe(self) -> None:
        """Record the frames and the applied commands that have come in."""
        before, self.frames = self.newest, self.link.recent
        for frame in takewhile(lambda frame: frame is not before, reversed(self.frames)):
            self.steps.update({applied.sequence: applied.step for applied in frame.applied})

    @property
    def newest(self) -> m.Frame | None:
        """Return the newest frame of this session, None before the first."""
        return self.frames[-1] if self.frames else None

    @property
    def caught_up(self) -> bool:
        """Say whether the newest frame shows all commands that were sent."""
        return bool(self.frames) and self._count(self.frames[-1]) == len(self.sequences)

    def moment(self, frame: m.Frame) -> tuple[int, int]:
        """Return (commands applied, steps taken), which is equal for frames of the same moment."""
        return self._count(frame), frame.step

    def _count(self, frame: m.Frame) -> int:
        return bisect_right(self.sequences, frame.applied_sequence)


def newest_pair(own: Side, twin: Side) -> Pair | None:
    """Return the frames of the newest moment that both sessions have shown, None if there is none."""
    shown = {twin.moment(frame): frame for frame in twin.frames}
    for frame in reversed(own.frames):
        if (other := shown.get(own.moment(frame))) is not None:
            return frame, other
    return None


def last_step(frame: m.Frame) -> int:
    """Return the last step that the session is certain to reach without any more noise."""
    left = 0 if frame.idle else int(frame.time_step.max / frame.settings.stride) - 1
    return frame.step + max(left, 0)


class Twin:
    """Compares the window's session with a twin until it is closed.

    Args:
        model: the window's view model.
        own: the link to the window's session.
        open_link: opens the twin's session.

    Attributes:
        what: the one thing that differs.
        treatment: how the window's session is treated.
        other: how its twin is treated.
        pair: the newest frames of the same moment, which are to be shown.
        playing: both run, or will as soon as they can.
        diverged: a command did not reach both in time, so more than `what` differs.
        closed: the comparison is over; the model's notice says why, unless the user closed it.
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
        self._seed = model.frame.seed
        self._origin = model.start.origin.within(settings.num_time_steps)
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
        self._started = False
        self.playing = True
        self._touched = False
        self._moves: deque[Move] = deque()
        self._painting = Painting(model.brush)
        self._restarting = False  # a restart of both is on its way
        self._pausing = False  # a command that ends in a pause is on its way or being carried out
        self._scheduled: deque[tuple[int, int]] = deque()  # sequences of commands for the same step of both
        self._ahead, self._at_ahead = 0, 0  # the step last scheduled for, and its number of injections
        self._now = 0.0

    # --- from the user ---

    def choose(self, what: Difference) -> None:
        """Choose what differs."""
        if what is not self.what:
            self.what = what
            self._treat(first_twin(self.treatment, what, len(self.label_names)))

    def next_difference(self) -> None:
        """Choose the next thing that can differ."""
        order = list(Difference)
        self.choose(order[(order.index(self.what) + 1) % len(order)])

    def change(self, what: Difference) -> None:
        """Give the twin the next value of `what`, or the first value if another thing has differed so far."""
        if what is self.what:
            self._treat(next_twin(self.treatment, self.other, what, len(self.label_names)))
        else:
            self.choose(what)

    def choose_label(self, label: int) -> None:
        """Let the twin draw this class, which is then what differs."""
        if m.NO_LABEL <= label < len(self.label_names) and label != self.treatment.label:
            self.what = Difference.LABEL
            self._treat(differing(self.treatment, Difference.LABEL, label))

    def _treat(self, other: Treatment) -> None:
        self.other = other
        self.restart()

    def restart(self) -> None:
        """Restart both sessions."""
        if self._started:
            self._start_both()

    def new_seed(self) -> None:
        """Restart both sessions with a new seed."""
        self._seed, self._origin = self._model.draw_seed(), m.Origin()
        self.restart()

    def toggle_play(self) -> None:
        """Pause both sessions, or let both run."""
        self._moves.append(m.Pause() if self.playing else m.Play())
        self.playing = not self.playing

    def step(self) -> None:
        """Let both sessions take a single step and pause."""
        self._moves.append(m.Step())
        self.playing = False

    def mouse_at(self, point: Point | None) -> None:
        """Follow the mouse to this point of the left picture; None means outside it."""
        if point is None or not self._painting.paints:
            self._painting.lift()
        elif self._started:
            self._painting.move(point)

    def mouse_button(self, point: Point | None, held: bool) -> None:
        """Take note that the mouse button went down or up."""
        if self._painting.button(held):
            self.mouse_at(point)

    def close(self) -> None:
        """End the twin's session; the window's session goes on as it is."""
        if not self.closed:
            self._end(self._model.notice)

    def _end(self, notice: str) -> None:
        self.closed = True
        self._model.notice = notice
        self._extra.close()

    # --- once for each picture of the window ---

    def update(self, now: float) -> None:
        """Take in what both have shown and send what is waiting; `now` is in seconds."""
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
            if not self._started and twin.frame is not None:
                self._start_both()
            self._send_waiting()
            if self._started and not self.closed:
                self.pair = newest_pair(self._own, self._twin) or self.pair

    def _start_both(self) -> None:
        """Restart both sessions from the same seed and origin."""
        self._started = self.playing = self._restarting = True
        self.diverged = self._touched = self._pausing = False
        self._moves.clear()
        self._painting.drop()
        self._scheduled.clear()
        self._ahead = self._at_ahead = 0
        self._extra.link.send(m.Configure(self.other.settings))
        again = m.Restart(self._seed, self._origin)
        if self._to_both(again, again, None):
            self._model.restarted(self._seed, self._origin)

    def _check(self) -> None:
        """Check that commands scheduled for the same step were applied at the same step."""
        own, twin = self._own, self._twin
        while self._scheduled and own.newest is not None and twin.newest is not None:
            first, second = self._scheduled[0]
            if own.newest.applied_sequence < first or twin.newest.applied_sequence < second:
                break
            self._scheduled.popleft()
            self.diverged |= own.steps.pop(first, None) != twin.steps.pop(second, None)

    def _send_waiting(self) -> None:
        if not self._moves and not self._painting:
            return
        own, twin = self._own.newest, self._twin.newest
        if own is None or twin is None:
            return
        caught_up = self._own.caught_up and self._twin.caught_up
        at_rest = own.idle and twin.idle
        if (self._restarting and not caught_up) or (self._pausing and not (caught_up and at_rest)):
            return
        self._restarting = self._pausing = False
        if own.idle or twin.idle:
            if at_rest and caught_up:
                self._send_at_rest(own.step if own.step == twin.step else None)
            return
        ahead = max(max(own.step, twin.step) + self._lead_steps(), self._ahead)
        if ahead <= min(last_step(own), last_step(twin)):
            self._send_ahead(ahead)

    def _lead_steps(self) -> int:
        """Return how many steps ahead a command must be scheduled to arrive in time."""
        round_trip_s = max(side.link.statistics.round_trip_ms or 0.0 for side in self._sides) / 1000
        frames = [frame for side in self._sides for frame in side.frames]
        least_s = min(frame.server_ms for frame in frames) / 1000  # of a tick; others may be as fast
        rate_hz = min(frames[0].settings.steps_per_second, 1 / max(least_s, 1e-3))
        return math.ceil((LEAD_S + round_trip_s) * rate_hz) + 1

    @property
    def _injections_per_step(self) -> int:
        """Return how many injections may be scheduled for one step.

        The server applies so many of one session in a tick. One place is left for the move that may follow
        them: a move that had to wait for the next tick would come after its step.
        """
        assert self._model.welcome is not None
        return max(self._model.welcome.limits.injections_per_tick - 1, 1)

    def _send_at_rest(self, step: int | None) -> None:
        """Send to two idle sessions, which are paused meanwhile if the first command would let them run."""
        held = bool(self._painting) and not self._moves and self.playing
        if held:
            self._to_both(m.Pause(), m.Pause(), step)
        if self._moves:
            self._send_move(step)
        else:
            self._send_dabs(self._injections_per_step, step)
        if held:
            self._to_both(m.Play(), m.Play(), step)

    def _send_ahead(self, step: int) -> None:
        """Send to two running sessions, scheduled for this step."""
        if step > self._ahead:
            self._ahead, self._at_ahead = step, 0
        self._at_ahead += self._send_dabs(self._injections_per_step - self._at_ahead, step)
        if self._moves:
            self._send_move(step)

    def _send_move(self, step: int | None) -> None:
        move = self._moves.popleft()
        self._pausing = not isinstance(move, m.Play)
        self._to_both(move, move, step)

    def _send_dabs(self, most: int, step: int | None) -> int:
        """Send at most so many of the dabs that wait; return how many were sent."""
        now = self._painting.take(min(most, self._model.dabs_per_frame))
        for dab in now:
            self._touched = self._to_both(self.treatment.inject(dab), self.other.inject(dab), step)
        return len(now)

    def _to_both(self, command: m.Command, twins: m.Command, step: int | None) -> bool:
        """Send a command and its twin's version, for this step if given; say whether both were sent."""
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
            self._scheduled.append((first, second))
        return True

    @property
    def waiting(self) -> bool:
        """Say whether strokes or moves wait to be sent."""
        return bool(self._painting) or bool(self._moves)

    # --- in words ---

    @property
    def sentence(self) -> str:
        """Return what there is to see, in words."""
        if self.pair is None:
            return "the twin joins; both will restart with the same seed …"
        if self.diverged:
            return DIVERGED
        first, second = self.pair
        rms = root_mean_square(second.x0_hat - first.x0_hat)
        return difference_sentence(rms, self.what, touched=self._touched)

    @property
    def figure(self) -> str:
        """Return the root mean square difference of the two guesses as text."""
        if self.pair is None:
            return "–"
        first, second = self.pair
        return f"{root_mean_square(second.x0_hat - first.x0_hat):.2f}"

    def time_steps(self) -> tuple[str, str]:
        """Return the time steps of both sessions as text."""
        if self.pair is None:
            return "t –", "t –"
        first, second = (labels.whole(frame.time_step.max) for frame in self.pair)
        return f"t {first}", f"t {second}"


def obstacle(model: ViewModel) -> str:
    """Return why no twin can be opened now, as a sentence; "" if one can."""
    return extra_session.obstacle(model.frame, model.status, replaying=model.replay is not None)

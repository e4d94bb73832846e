"""What the viewer knows and what the user asks for, without a window and without a connection.

Keys and points of the picture come in, commands for the session go out. What it says is in
`labels`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diffusion_toy.contract import messages as m
from viewer_client.core import options
from viewer_client.core.actions import FOR_WATCHERS, perform
from viewer_client.core.brush import DABS_PER_FRAME, Brush, Painting
from viewer_client.core.expected_state import ExpectedState, SentState
from viewer_client.core.feedback import Feedback
from viewer_client.core.geometry import Point
from viewer_client.core.history import History
from viewer_client.core.keymap import Action, action_of, cap
from viewer_client.core.observer import Observer
from viewer_client.core.strokes import Dab
from viewer_client.link.status import Phase, Status
from viewer_client.recipes.command_log import CommandLog
from viewer_client.recipes.recipe import Recipe
from viewer_client.recipes.replay import Replay

RENDER_RATE_HZ = 60
OTHER_COMMANDS_HZ = 40  # what the keyboard may need of the server's limit
HEALING_AHEAD = 8  # commands on their way while the right button denoises
WATCHING = "you are watching; only the session's owner can touch it"
SESSION_REPLACED = "the session could not be resumed; a new one has begun"
TAKEN_OVER = "the replay has ended: the picture is yours"
SEED_DRAW_MAX = 99_999  # drawn seeds are short enough to be read out in a class


def _draw_seed() -> int:
    return random.randint(0, SEED_DRAW_MAX)


@dataclass(eq=False)
class ViewModel:
    """The state of one viewer.

    Attributes:
        start: what the session begins with; kept up to date, so that a lost one can begin again.
        status: where the connection is.
        brush: what moving the mouse does.
        pointer: the mouse in fractions of the picture, None outside it.
        healing: the button that denoises under the pointer is held.
        notice: an answer to the last key or command, "" if there is nothing to say.
        try_again: the user wants another try after a refusal.
        history: what was seen of this run.
        command_log: what was done in this session, for its recipe.
        replay: the recipe that is being replayed, None otherwise; then the mouse adds nothing.
        feedback: what is seen of the noise that was sent.
        observers: those who are told of what is sent and received.
    """

    start: m.Start = field(default_factory=m.Start)
    draw_seed: Callable[[], int] = _draw_seed
    status: Status = field(default_factory=lambda: Status(Phase.CONNECTING))
    brush: Brush = field(default_factory=Brush)
    pointer: Point | None = None
    healing: bool = False
    help_open: bool = False
    quit: bool = False
    window_actions: deque[Action] = field(default_factory=deque)  # what is for the window to do
    try_again: bool = False
    notice: str = ""
    welcome: m.Welcome | None = None
    schedule: m.Schedule | None = None
    frame: m.Frame | None = None
    history: History = field(init=False)
    command_log: CommandLog = field(default_factory=CommandLog)
    replay: Replay | None = None
    feedback: Feedback = field(default_factory=Feedback)
    observers: list[Observer] = field(default_factory=list)
    _outgoing: deque[m.Command] = field(default_factory=deque)
    _owed: list[m.Command] = field(default_factory=list)  # the answer to a welcome, once the session is live
    _expected: ExpectedState = field(default_factory=ExpectedState)
    _sent: SentState = field(init=False)
    _plays_on: bool = False  # it is to run again once it is back

    def __post_init__(self) -> None:
        self._painting = Painting(self.brush)
        self._remember_sent()
        self.history = History(lambda: self.command_log.runs)
        self.observers += [self._expected, self.command_log, self.feedback, self.history]

    # --- from the connection ---

    def receive(self, response: m.Response) -> None:
        """Take in what the server said, and tell the observers."""
        for observer in self.observers:
            observer.received(response)
        match response:
            case m.Welcome():
                self._receive_welcome(response)
            case m.Schedule():
                self.schedule = response
            case m.Frame():
                self.frame = response
                if self.replay is not None:
                    self.replay.receive(response)
                    self._end_replay_if_over()
            case m.Rejected():
                self.notice = response.message
                self.start = options.unchosen(self.start, response.field)
                if self.replay is not None:
                    self.replay.rejected(response)
                    self._end_replay_if_over()

    def _receive_welcome(self, welcome: m.Welcome) -> None:
        before, self.welcome, self.schedule = self.welcome, welcome, welcome.schedule
        if welcome.resumed and before is not None and welcome.session_id != before.session_id:
            self.replay = None  # another session has taken the place of the one that it was for
        self._owed.clear()
        if welcome.resumed:  # it is as it was, and what was on its way still is
            if not self.status.live:
                self.take_commands()  # none goes to it that was asked for before it was back
            self.start = self._sent.restored(self.start, self._expected)
            return
        self._plays_on = False
        if welcome.watching:
            self.notice = WATCHING
            self._expected.settings = welcome.settings
            return
        if before is not None:
            self.notice = SESSION_REPLACED
        self._expected.begin(self.start.motion)
        self._expected.settings = self.start.settings.apply_to(welcome.settings)
        if self.settings != welcome.settings:  # chosen while the connection was being made
            self._owed.append(m.Configure(self.start.settings))
        if self.start.seed is None:
            self.start = replace(self.start, seed=welcome.seed)
        elif self.start.seed != welcome.seed:
            self._owed.append(m.Restart(self.start.seed))
        if self.replay is not None:
            self._outgoing.clear()
            self._owed.clear()  # all is as the recipe says
            self.replay.begin_again()
            self.notice = self.doubt_of(self.replay.recipe) or self.notice

    def next_start(self) -> m.Start:
        """Return what a connection begins with: after a loss, the same seed and settings again."""
        start = self.start if self.replay is None else self.replay.recipe.session(self.start.model)
        if self.welcome is not None:
            T = start.settings.apply_to(self.settings).num_time_steps
            start = replace(start, origin=start.origin.within(T))
        self.command_log.asked_for(start)
        return start

    def sent(self, command: m.Command, sequence: int, now: float) -> None:
        """Tell the observers of a command that was sent with this number, at `now` (seconds)."""
        ahead = self.replay is not None and self.replay.sent(command, sequence)
        for observer in self.observers:
            observer.sent(command, sequence, now, ahead=ahead)

    def pass_time(self, status: Status, now: float) -> None:
        """Take in the connection's status, once for each picture that is drawn, at `now` (seconds)."""
        self.status = status
        if status.live:  # else what is on its way may be sent again
            self.feedback.pass_time(now)

    # --- what is known ---

    @property
    def settings(self) -> m.Settings:
        """Return the settings in force, with the changes that are on their way."""
        return self._expected.settings

    @property
    def watching(self) -> bool:
        """Say whether the session is somebody else's."""
        return bool(self.start.watch)

    @property
    def motion(self) -> m.Motion:
        """Return what the session does, with the commands that are on their way."""
        if self.replay is not None:
            return m.Motion.PAUSED if self.replay.held else self.replay.direction
        return self._expected.motion

    @property
    def direction(self) -> m.Motion:
        """Return where `Play` goes."""
        return self._expected.direction

    @property
    def num_time_steps(self) -> int:
        """Return T of the schedule in force."""
        return self.frame.settings.num_time_steps if self.frame is not None else self.settings.num_time_steps

    @property
    def tick_rate_hz(self) -> float:
        """Return the fastest that the session can step."""
        return self.welcome.limits.tick_rate_hz if self.welcome is not None else options.SPEEDS[-1]

    @property
    def dabs_per_frame(self) -> int:
        """Return how many injections may be sent with each picture of the window."""
        limits = self.welcome.limits if self.welcome is not None else m.Limits()
        allowed = int((limits.commands_per_second - OTHER_COMMANDS_HZ) / RENDER_RATE_HZ)
        return min(max(allowed, 1), DABS_PER_FRAME)

    # --- from the mouse ---

    def mouse_at(self, point: Point | None) -> None:
        """Follow the mouse to this point of the picture; None means outside it."""
        self.pointer = point
        if self.healing:
            self._painting.lift()
            return
        painting = self._painting.paints and self.replay is None
        if point is None or not painting or self.help_open or not self.status.live:
            self._painting.lift()
        elif self.watching:
            self.notice = WATCHING
        else:
            self._painting.move(point)

    def mouse_button(self, held: bool) -> None:
        """Take note that the mouse button went down or up."""
        if self._painting.button(held):
            self.mouse_at(self.pointer)

    def heal_button(self, held: bool) -> None:
        """Take note that the button that denoises under the pointer went down or up."""
        if held and self.watching:
            self.notice = WATCHING
            return
        self.healing = held and self.replay is None
        self._painting.lift()

    def take_commands(self) -> list[m.Command]:
        """Remove and return the commands to send now; called once for each picture that is drawn."""
        asked = list(self._outgoing)
        self._outgoing.clear()
        if not self.status.live:  # a lost session begins again from `start`
            self._painting.drop()
            self._sent.dropped |= bool(asked)
            return []
        commands = [*self._owed, *asked]
        self._owed.clear()
        if self._plays_on:
            self._plays_on, play = False, m.Play(self._expected.direction)
            self._expected.moved(play)
            commands.insert(0, play)
        if self.replay is not None and (steered := self.replay.steer(commands)) is not None:
            commands = steered
        elif self.replay is not None:
            self.replay, self.notice = None, TAKEN_OVER
        if self._painting:
            self.notice = ""
        commands += [self.brush.inject(dab) for dab in self._painting.take(self.dabs_per_frame)]
        few_ahead = self._expected.on_their_way < HEALING_AHEAD  # so steps end with the button
        if self.healing and self.pointer is not None and not self.help_open and few_ahead:
            step = m.Step(m.Motion.REVERSE, m.Disc(*self.pointer, self.brush.radius))
            commands.append(step)
            self._expected.moved(step)
        self._remember_sent()
        return commands

    def _remember_sent(self) -> None:
        self._sent = SentState.of(self.start, self._expected)

    def drop_strokes(self) -> None:
        """Drop painted noise that has not been sent; the next point begins a new stroke."""
        self._painting.lift()
        self._painting.drop()

    # --- a replay ---

    def begin_replay(self, recipe: Recipe) -> None:
        """Replay a recipe in this window: its run takes the place of the present one."""
        if self.watching:
            self.notice = WATCHING
            return
        self.start = replace(recipe.start, model=self.start.model)
        self._expected.settings = recipe.start.settings.apply_to(self.settings)
        self._outgoing.clear()
        self._forget_run()
        self.healing = self._plays_on = False
        self.replay = Replay(recipe, over=True)
        self.notice = self.doubt_of(recipe)
        self._remember_sent()  # a replay waits for the connection

    def next_replayed(self, now: float) -> m.Command | None:
        """Return what the replay sends at `now` (seconds), the same until it was `sent`; None if nothing."""
        if self.replay is None or self.welcome is None or not self.status.live:
            return None
        command = self.replay.next(now, self.welcome.limits, self.settings.steps_per_second)
        if isinstance(command, m.Configure):
            self._expected.settings = command.settings.apply_to(self.settings)
        return command

    def _end_replay_if_over(self) -> None:
        replay = self.replay
        assert replay is not None
        if replay.done or replay.failure:
            ending = f"replayed: {replay.recipe.steps} steps; {cap(Action.TOGGLE_PLAY)} goes on from here"
            self.notice = replay.failure or self.doubt_of(replay.recipe) or ending
            self.replay = None
            self._expected.paused_by_replay(replay.direction)

    def doubt_of(self, recipe: Recipe) -> str:
        """Return why a replay may give another picture, "" if it does not."""
        return recipe.doubt(None if self.welcome is None else self.welcome.model)

    # --- for those who compare ---

    @property
    def last_sequence(self) -> int:
        """Return the number of the last command that was sent."""
        return self._expected.last_sequence

    def pause(self) -> None:
        """Pause the session as it is; strokes that have not been sent are dropped."""
        self._painting.drop()
        self.move(m.Pause())

    def play(self) -> None:
        """Let it run again, the way it ran; after a loss, as soon as it is back."""
        self._plays_on = not self.status.live
        self.move(m.Play(self._expected.direction))

    def restarted(self, seed: int, origin: m.Origin) -> None:
        """Take note that a restart with these was sent past this model."""
        self.start = replace(self.start, seed=seed, origin=origin, motion=m.Motion.REVERSE)
        self._expected.begin(m.Motion.REVERSE)
        self._forget_run()
        self._remember_sent()

    def switched_session(self, seed: int) -> None:
        """Go on with another session of this seed, whose first steps had another seed."""
        self.start = replace(self.start, seed=seed)
        self.observers.remove(self.command_log)
        self.command_log = CommandLog()  # no recipe has two seeds
        self.observers.insert(0, self.command_log)
        self._forget_run()
        self._outgoing.clear()
        self._remember_sent()

    def _forget_run(self) -> None:
        """Forget what was seen of a run, and its strokes that have not been sent: another begins."""
        self._painting.drop()
        self.history.forget_run()
        self.feedback.forget_run()

    # --- from the keyboard ---

    def key(self, key: str) -> None:
        """Do what a key asks for; see `keymap` for the names."""
        action = action_of(key)
        if action is None:
            return
        self.notice = ""
        if self.watching and action not in FOR_WATCHERS:
            self.notice = WATCHING
            self.try_again = self.status.phase is Phase.REFUSED
        else:
            perform(self, action, key)

    def configure(self, change: m.SettingsChange) -> None:
        """Change settings; after a loss of the connection they are asked for again."""
        self.start = options.chosen(self.start, change)
        self._expected.settings = change.apply_to(self.settings)
        self._outgoing.append(m.Configure(change))

    def jump_to(self, time_step: float) -> None:
        """Go to this time step: noise up to it, or the kept state that had it."""
        if self._may_jump():
            self._jump(m.Jump(time_step=min(max(time_step, 0.0), float(self.num_time_steps))))

    def jump_to_step(self, step: int) -> None:
        """Go back to this step of the run, if the server still keeps its state."""
        if not self._may_jump():
            return
        assert self.frame is not None
        if step < self.frame.first_kept_step:
            self.notice = "the server no longer keeps that moment: choose a picture with a line under it"
        else:
            self._jump(m.Jump(step=step))

    def _may_jump(self) -> bool:
        if self.watching:
            self.notice = WATCHING
            return False
        return self.frame is not None and self.status.live and not self.help_open

    def _jump(self, command: m.Jump) -> None:
        self.notice = ""
        self._painting.drop()
        self.move(command)

    def move(self, command: m.Play | m.Pause | m.Step | m.Back | m.Jump) -> None:
        """Send a command that moves the session through time."""
        self._outgoing.append(command)
        self._expected.moved(command)

    def restart(self, seed: int | None = None, origin: m.Origin | None = None) -> None:
        """Begin the picture again; None keeps the seed or the origin. From a clean one, time runs forward."""
        origin_now = origin or self.start.origin
        forward = origin_now.time_step == 0  # a clean picture has only one way to go
        motion = m.Motion.FORWARD if forward else m.Motion.REVERSE
        seed_now = self.start.seed if seed is None else seed
        self.start = replace(self.start, seed=seed_now, origin=origin_now, motion=motion)
        self._outgoing.append(m.Restart(seed, origin))
        self._expected.begin(m.Motion.REVERSE)
        self._forget_run()
        self.try_again = self.status.phase is Phase.REFUSED
        if forward:
            self.move(m.Play(m.Motion.FORWARD))

    def dose(self, amount: float) -> None:
        """Add noise of so many time steps to the whole image, all at once, as kind and rule are chosen."""
        self._outgoing.append(self.brush.inject(Dab(None, 1.0, amount)))

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
from viewer_client.core.brush import DABS_PER_FRAME, Brush, Painting
from viewer_client.core.expected_state import ExpectedState
from viewer_client.core.feedback import Feedback
from viewer_client.core.geometry import Point
from viewer_client.core.history import Film
from viewer_client.core.keymap import Action, action_of, cap
from viewer_client.core.options import SPEEDS, change_of
from viewer_client.core.strokes import Dab
from viewer_client.link.status import Phase, Status
from viewer_client.recipes.command_log import CommandLog
from viewer_client.recipes.recipe import Recipe, is_of_speed
from viewer_client.recipes.replay import Replay

RENDER_RATE_HZ = 60
OTHER_COMMANDS_HZ = 40  # what the keyboard may need of the server's limit
HEALING_AHEAD = 8  # commands on their way while the right button denoises
WATCHING = "you are watching; only the session's owner can touch it"
SESSION_REPLACED = "the session could not go on; a new one has begun"
TAKEN_OVER = "the replay ends here, and the picture is yours"
OTHER_WEIGHTS = "the recipe was made with other weights (model {}, {}): they give another picture"
FOR_ALL = (  # what one who watches may do as well
    Action.QUIT, Action.HELP, Action.CLOSE_OVERLAY, Action.SAVE, Action.SAVE_GIF,
)  # fmt: skip
SEED_DRAW_MAX = 99_999  # drawn seeds are short enough to be read out in a class


def _draw_seed() -> int:
    return random.randint(0, SEED_DRAW_MAX)


@dataclass(eq=False)
class ViewModel:
    """The state of one viewer.

    Attributes:
        start: what the session begins with; kept up to date, so that a lost one can begin again.
        status: of the connection.
        brush: what moving the mouse does.
        pointer: the mouse in fractions of the picture, None outside it.
        healing: the button that denoises under the pointer is held.
        notice: an answer to the last key or command, "" if there is nothing to say.
        try_again: the user wants another try after a refusal.
        film: what was seen of this run.
        command_log: what was done in this session, for its recipe.
        replay: the recipe that is being replayed, None otherwise; then the mouse adds nothing.
        feedback: what is seen of the noise that was sent.
        listeners: called with each command that is sent, and its sequence number.
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
    film: Film = field(default_factory=Film)
    command_log: CommandLog = field(default_factory=CommandLog)
    replay: Replay | None = None
    feedback: Feedback = field(default_factory=Feedback)
    listeners: list[Callable[[m.Command, int], None]] = field(default_factory=list)
    _outgoing: deque[m.Command] = field(default_factory=deque)
    _asked_start: m.Start = field(default_factory=m.Start)  # what the present stream began with
    _expected: ExpectedState = field(default_factory=ExpectedState)

    def __post_init__(self) -> None:
        self._painting = Painting(self.brush)

    # --- from the connection ---

    def receive(self, response: m.Response) -> None:
        """Take in what the server said."""
        match response:
            case m.Welcome():
                self._receive_welcome(response)
            case m.Schedule():
                self.schedule = response
            case m.Frame():
                self._receive_frame(response)
            case m.Rejected():
                self.notice = response.message
                self._forget_choice(response.field)
                self.command_log.rejected(response.sequence)
                if self.replay is not None:
                    self.replay.rejected(response)
                    self._look_at_replay()

    def _receive_welcome(self, welcome: m.Welcome) -> None:
        before, again = self.welcome, self.welcome is not None
        self.welcome, self.schedule = welcome, welcome.schedule
        self.command_log.welcome(welcome, self._asked_start)
        if welcome.resumed and before is not None and welcome.session_id != before.session_id:
            self.replay = None  # another session has taken the place of the one that it was for
        if welcome.resumed:  # it is as it was, and what was on its way still is
            self.notice = ""
            self.feedback.sent_again()
            return
        self.feedback.speckles.clear()
        self.film.clear()
        self._expected.last_sequence = 0
        if welcome.watching:
            self.notice = WATCHING
            self._expected.settings = welcome.settings
            return
        self.notice = SESSION_REPLACED if again else ""
        self._expected.begin(self.start.motion)
        self._expected.settings = self.start.settings.apply_to(welcome.settings)
        if self.settings != welcome.settings:  # chosen while the connection was being made
            self._outgoing.append(m.Configure(self.start.settings))
        if self.start.seed is None:
            self.start = replace(self.start, seed=welcome.seed)
        elif self.start.seed != welcome.seed:
            self._outgoing.append(m.Restart(self.start.seed))
        if self.replay is not None:
            self._outgoing.clear()  # all is as the recipe says
            self.replay.begin_again()
            self.notice = self.doubt_of(self.replay.recipe) or self.notice

    def _receive_frame(self, frame: m.Frame) -> None:
        self.frame = frame
        self.film.add(frame)
        self.command_log.receive(frame)
        if self.replay is not None:
            applied = self.replay.receive(frame)
            self.feedback.marks.extend(frame.time_step.max for one in applied if isinstance(one, m.Inject))
            self._look_at_replay()
        self.feedback.applied(frame.applied_sequence)
        self._expected.receive(frame)

    def _forget_choice(self, path: str) -> None:
        """A choice that the server rejected is not made again after a reconnect."""
        name = path.removeprefix("settings.")
        if name != path and hasattr(self.start.settings, name):
            self.start = replace(self.start, settings=replace(self.start.settings, **{name: None}))

    def next_start(self) -> m.Start:
        """What a connection begins with: after a loss, the same seed and settings again."""
        self._asked_start = (
            self.start if self.replay is None else self.replay.recipe.session(self.start.model)
        )
        return self._asked_start

    def sent(self, command: m.Command, sequence: int, now: float) -> None:
        """A command has been sent with this number, at `now` (seconds)."""
        self._expected.last_sequence = sequence
        self.command_log.sent(command, sequence)
        for listener in self.listeners:
            listener(command, sequence)
        if self.replay is not None and self.replay.sent(command, sequence):
            return  # far ahead of its turn
        if isinstance(command, m.Inject):
            at = None if self.frame is None else self.frame.time_step.max
            self.feedback.add(command, sequence, now, at)

    def pass_time(self, status: Status, now: float) -> None:
        """Once for each picture that is drawn, at `now` (seconds)."""
        self.status = status
        if status.live:  # else what is on its way may be sent again
            self.feedback.pass_time(now)

    # --- what is known ---

    @property
    def settings(self) -> m.Settings:
        """The settings in force, with the changes that are on their way."""
        return self._expected.settings

    @property
    def watching(self) -> bool:
        """The session is somebody else's."""
        return bool(self.start.watch)

    @property
    def motion(self) -> m.Motion:
        """What the session does, with the commands that are on their way."""
        if self.replay is not None:
            return m.Motion.PAUSED if self.replay.held else self.replay.direction
        return self._expected.motion

    @property
    def num_time_steps(self) -> int:
        """T of the schedule in force."""
        return self.frame.settings.num_time_steps if self.frame is not None else self.settings.num_time_steps

    @property
    def tick_rate_hz(self) -> float:
        """The fastest that the session can step."""
        return self.welcome.limits.tick_rate_hz if self.welcome is not None else SPEEDS[-1]

    @property
    def dabs_per_frame(self) -> int:
        """How many injections may be sent with each picture of the window."""
        limits = self.welcome.limits if self.welcome is not None else m.Limits()
        allowed = int((limits.commands_per_second - OTHER_COMMANDS_HZ) / RENDER_RATE_HZ)
        return min(max(allowed, 1), DABS_PER_FRAME)

    # --- from the mouse ---

    def mouse_at(self, point: Point | None) -> None:
        """The mouse has moved to this point of the picture, or (None) is outside it."""
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
        """The mouse button went down or up."""
        if self._painting.button(held):
            self.mouse_at(self.pointer)

    def heal_button(self, held: bool) -> None:
        """The button that denoises under the pointer went down or up."""
        if held and self.watching:
            self.notice = WATCHING
            return
        self.healing = held and self.replay is None
        self._painting.lift()

    def take_commands(self) -> list[m.Command]:
        """The commands to send now; called once for each picture that is drawn."""
        commands = list(self._outgoing)
        self._outgoing.clear()
        if not self.status.live:  # a lost session begins again from `start`
            self._painting.drop()
            return []
        if self.replay is not None:
            commands = self._during_replay(commands)
        if self._painting:
            self.notice = ""
        commands += [self.brush.inject(dab) for dab in self._painting.take(self.dabs_per_frame)]
        if self.healing and self.pointer is not None and not self.help_open and self._caught_up:
            step = m.Step(m.Motion.REVERSE, m.Disc(*self.pointer, self.brush.radius))
            commands.append(step)
            self._expected.moved(step)
        return commands

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
        self.healing = False
        self.replay = Replay(recipe, over=True)
        self.notice = self.doubt_of(recipe)

    def next_replayed(self, now: float) -> m.Command | None:
        """What the replay sends next, at `now` (seconds), None if nothing; until it has been `sent`."""
        if self.replay is None or self.welcome is None or not self.status.live:
            return None
        command = self.replay.next(now, self.welcome.limits, self.settings.steps_per_second)
        if isinstance(command, m.Configure):
            self._expected.settings = command.settings.apply_to(self.settings)
        return command

    def _during_replay(self, commands: list[m.Command]) -> list[m.Command]:
        """What the user wants meanwhile: Space holds it, the speed is free, anything else ends it."""
        assert self.replay is not None
        others: list[m.Command] = []
        for command in commands:
            match command:
                case m.Pause():
                    self.replay.held = True
                case m.Play() if self.replay.held:
                    self.replay.held = False
                case _:
                    others.append(command)
        if not all(is_of_speed(command) for command in others):
            self.replay = None
            self.notice = TAKEN_OVER
        return others

    def _look_at_replay(self) -> None:
        """Whether the replay is over."""
        replay = self.replay
        assert replay is not None
        if replay.done or replay.failure:
            ending = f"replayed: {replay.recipe.steps} steps; {cap(Action.TOGGLE_PLAY)} goes on from here"
            self.notice = replay.failure or self.doubt_of(replay.recipe) or ending
            self.replay = None
            self._expected.rests(replay.direction)

    def doubt_of(self, recipe: Recipe) -> str:
        """Why a replay may give another picture, "" if it does not."""
        if self.welcome is not None and self.welcome.model.fingerprint != recipe.fingerprint:
            return OTHER_WEIGHTS.format(recipe.start.model, recipe.fingerprint)
        return f"this recipe is not exact: {recipe.inexact}" if recipe.inexact else ""

    @property
    def _caught_up(self) -> bool:
        """Few commands are on their way, so that steps do not go on after the button."""
        applied = self.frame.applied_sequence if self.frame is not None else 0
        return self.last_sequence - applied < HEALING_AHEAD

    # --- for those who compare ---

    @property
    def last_sequence(self) -> int:
        """Of the last command that was sent."""
        return self._expected.last_sequence

    def rest(self) -> None:
        """Let the session rest as it is; strokes that have not been sent are dropped."""
        self._painting.drop()
        self._move(m.Pause())

    def play(self) -> None:
        """Let it run again, the way it ran."""
        self._move(m.Play(self._expected.direction))

    def restarted(self, seed: int, origin: m.Origin) -> None:
        """A restart with these was sent past this model; the picture is denoised from there."""
        self.start = replace(self.start, seed=seed, origin=origin, motion=m.Motion.REVERSE)
        self._expected.begin(m.Motion.REVERSE)
        self._forget_run()

    def switched_session(self, seed: int) -> None:
        """The window goes on with another session: of this seed, though its first steps had another."""
        self.start = replace(self.start, seed=seed)
        self.command_log = CommandLog()  # no recipe has two seeds
        self._forget_run()
        self._outgoing.clear()

    def _forget_run(self) -> None:
        """Another run begins: what was seen of this one is over, and strokes of it are not sent any more."""
        self._painting.drop()
        self.film.clear()
        self.feedback.marks.clear()

    # --- from the keyboard ---

    def key(self, key: str) -> None:
        """A key was pressed; see `keymap` for the names."""
        action = action_of(key)
        if action is None:
            return
        self.notice = ""
        if self.watching and action not in FOR_ALL:
            self.notice = WATCHING
            self.try_again = self.status.phase is Phase.REFUSED
        else:
            self._act(action, key)

    def _act(self, action: Action, key: str) -> None:
        if self.brush.act(action):
            if action is Action.MOUSE_MODE:
                self._painting.lift()
                self._painting.drop()
            return
        if (change := change_of(action, self.settings, self.tick_rate_hz)) is not None:
            self.configure(change)
            return
        match action:
            case Action.QUIT:
                self.quit = True
            case Action.HELP:
                self.help_open = not self.help_open
            case Action.CLOSE_OVERLAY:
                self.help_open = False
            case Action.TOGGLE_PLAY:
                paused = self.motion is m.Motion.PAUSED
                self._move(m.Play(self._expected.direction) if paused else m.Pause())
            case Action.TOGGLE_DIRECTION:
                forward = self._expected.direction is m.Motion.FORWARD
                self._move(m.Play(m.Motion.REVERSE if forward else m.Motion.FORWARD))
            case Action.STEP_REVERSE:
                self._move(m.Step(m.Motion.REVERSE))
            case Action.STEP_FORWARD:
                self._move(m.Step(m.Motion.FORWARD))
            case Action.BACK:
                self._move(m.Back())
            case Action.RESTART:
                self.restart()
            case Action.NEW_SEED:
                self.restart(self.draw_seed(), m.Origin())
            case Action.EXAMPLE:
                self._start_from_example()
            case Action.LABEL:
                self._choose_label(int(key))
            case _:
                self.window_actions.append(action)

    def configure(self, change: m.SettingsChange) -> None:
        """Change settings; after a loss of the connection they are asked for again."""
        given = {name: value for name, value in vars(change).items() if value is not None}
        self.start = replace(self.start, settings=replace(self.start.settings, **given))
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
        self._move(command)

    def _move(self, command: m.Play | m.Pause | m.Step | m.Back | m.Jump) -> None:
        self._outgoing.append(command)
        self._expected.moved(command)

    def restart(self, seed: int | None = None, origin: m.Origin | None = None) -> None:
        """Begin the picture anew; None keeps the seed or the origin. From a clean one, time runs forward."""
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
            self._move(m.Play(m.Motion.FORWARD))

    def dose(self, amount: float) -> None:
        """Add noise of so many time steps to the whole image, all at once, as kind and rule are chosen."""
        self._outgoing.append(self.brush.inject(Dab(None, 1.0, amount)))

    def _start_from_example(self) -> None:
        if self.welcome is not None and not self.welcome.model.has_examples:
            self.notice = "this model comes without real pictures"
            return
        label = self.settings.label
        example = m.Example(None if label == m.NO_LABEL else label)
        self.restart(self.draw_seed(), m.Origin(example, 0.0))

    def _choose_label(self, label: int) -> None:
        names = self.welcome.model.label_names if self.welcome is not None else tuple("0123456789")
        if label >= len(names):
            self.notice = f"this model has the classes 0…{len(names) - 1}"
            return
        self.configure(m.SettingsChange(label=label))
        if self.frame is not None and self.frame.time_step.max == 0:
            self.notice = f"class {names[label]} is chosen: add noise to use it"

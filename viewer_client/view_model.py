"""What the viewer knows and what the user asks for, without a window and without a connection.

Keys and points of the picture come in, commands for the session go out. What it says is in
`wording`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
    thinned,
)
from viewer_client.film import Film
from viewer_client.geometry import Point
from viewer_client.keymap import Action, action_of
from viewer_client.link import Phase, Status
from viewer_client.notebook import Notebook
from viewer_client.recipe import Recipe, is_of_speed
from viewer_client.replay import Replay

RENDER_RATE_HZ = 60
DABS_PER_FRAME = 8  # at most; a server with a low limit of commands gets fewer
DABS_WAITING = 3 * DABS_PER_FRAME  # more are merged, so that the noise keeps up with the mouse
OTHER_COMMANDS_HZ = 40  # what the keyboard may need of the server's limit
SPECKLE_S = 0.25  # a speckle that no frame answers goes after this
MARKS_KEPT = 64
HEALING_AHEAD = 8  # commands on their way while the right button denoises
SCHEDULES = ((m.ScheduleName.COSINE, 300), (m.ScheduleName.LINEAR, 300), (m.ScheduleName.LINEAR, 1000))
STRIDES = (1, 2, 3, 5, 10, 15, 30)
SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
WATCHING = "you are watching; only the session's owner can touch it"
ANEW = "the session could not go on; a new one has begun"
TAKEN_OVER = "the replay ends here, and the picture is yours"
OTHER_WEIGHTS = "the recipe was made with other weights (model {}, {}): they give another picture"
FOR_ALL = (  # what one who watches may do as well
    Action.QUIT, Action.HELP, Action.CLOSE_OVERLAY, Action.SAVE, Action.SAVE_GIF,
)  # fmt: skip
SEED_DRAW_MAX = 99_999  # drawn seeds are short enough to be read out in a class


def _draw_seed() -> int:
    return random.randint(0, SEED_DRAW_MAX)


@dataclass(frozen=True)
class Speckle:
    """A dab that was sent and that no frame shows yet."""

    sequence: int
    dab: Dab
    expires: float
    rule: m.InjectionRule = m.InjectionRule.TRUTH


@dataclass(eq=False)
class ViewModel:
    """The state of one viewer.

    Attributes:
        start: what the session begins with; kept up to date, so that a lost one can begin again.
        status: of the connection.
        mode, radius, strength, kind, rule: what moving the mouse does.
        pointer: the mouse in fractions of the picture, None outside it.
        notice: an answer to the last key or command, "" if there is nothing to say.
        try_again: the user wants another try after a refusal.
        film: what was seen of this run.
        notebook: what was done in this session, for its recipe.
        replay: the recipe that is being replayed, None otherwise; then the mouse adds nothing.
        marks: time steps at which noise was added since the last restart.
        speckles: noise that was sent and is not in a frame yet.
        listeners: called with each command that is sent, and its sequence number.
    """

    start: m.Start = field(default_factory=m.Start)
    draw_seed: Callable[[], int] = _draw_seed
    status: Status = field(default_factory=lambda: Status(Phase.CONNECTING))
    mode: MouseMode = MouseMode.WHOLE_IMAGE
    radius: float = RADIUS_DEFAULT
    strength: float = STRENGTH_DEFAULT
    kind: m.NoiseKind = m.NoiseKind.GAUSSIAN
    rule: m.InjectionRule = m.InjectionRule.TRUTH
    pointer: Point | None = None
    help_open: bool = False
    quit: bool = False
    asked: deque[Action] = field(default_factory=deque)  # what is for the window to do
    try_again: bool = False
    notice: str = ""
    welcome: m.Welcome | None = None
    schedule: m.Schedule | None = None
    frame: m.Frame | None = None
    film: Film = field(default_factory=Film)
    notebook: Notebook = field(default_factory=Notebook)
    replay: Replay | None = None
    marks: deque[float] = field(default_factory=lambda: deque(maxlen=MARKS_KEPT))
    speckles: deque[Speckle] = field(default_factory=deque)
    listeners: list[Callable[[m.Command, int], None]] = field(default_factory=list)
    _outgoing: deque[m.Command] = field(default_factory=deque)
    _dabs: list[Dab] = field(default_factory=list)
    _stroke: Stroke = field(default_factory=Stroke)
    _held: bool = False
    _healing: bool = False  # the right button is held: denoise under the pointer
    _asked: m.Start = field(default_factory=m.Start)  # what the present stream began with
    _settings: m.Settings = field(default_factory=m.Settings)
    _direction: m.Motion = m.Motion.REVERSE  # where Play goes
    _motion: m.Motion = m.Motion.REVERSE
    _stepping: bool = False  # the last movement was a single step, which ends in a pause
    _last_sequence: int = 0  # of the last command; until it has landed, frames tell of the past
    _speckles_last: bool = False  # on from now: their commands have just been sent again

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
                self.notebook.rejected(response.sequence)
                if self.replay is not None:
                    self.replay.rejected(response)
                    self._look_at_replay()

    def _receive_welcome(self, welcome: m.Welcome) -> None:
        before, again = self.welcome, self.welcome is not None
        self.welcome, self.schedule = welcome, welcome.schedule
        self.notebook.welcome(welcome, self._asked)
        if welcome.resumed and before is not None and welcome.session_id != before.session_id:
            self.replay = None  # another session has taken the place of the one that it was for
        if welcome.resumed:  # it is as it was, and what was on its way still is
            self.notice = ""
            self._speckles_last = True
            return
        self.speckles.clear()
        self.film.clear()
        self._last_sequence = 0
        if welcome.watching:
            self.notice = WATCHING
            self._settings = welcome.settings
            return
        self.notice = ANEW if again else ""
        self._motion = self._direction = self.start.motion
        self._stepping = False
        self._settings = self.start.settings.apply_to(welcome.settings)
        if self._settings != welcome.settings:  # chosen while the connection was being made
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
        self.notebook.receive(frame)
        if self.replay is not None:
            landed = self.replay.receive(frame)
            self.marks.extend(frame.time_step.max for one in landed if isinstance(one, m.Inject))
            self._look_at_replay()
        while self.speckles and self.speckles[0].sequence <= frame.landed_sequence:
            self.speckles.popleft()
        if frame.landed_sequence >= self._last_sequence:
            self._settings = frame.settings
            self._motion = m.Motion.PAUSED if self._stepping else frame.motion
            if frame.motion is not m.Motion.PAUSED:
                self._direction = frame.motion

    def _forget_choice(self, path: str) -> None:
        """A choice that the server rejected is not made again after a reconnect."""
        name = path.removeprefix("settings.")
        if name != path and hasattr(self.start.settings, name):
            self.start = replace(self.start, settings=replace(self.start.settings, **{name: None}))

    def start_again(self) -> m.Start:
        """What a connection begins with: after a loss, the same seed and settings again."""
        self._asked = self.start if self.replay is None else self.replay.recipe.session(self.start.model)
        return self._asked

    def sent(self, command: m.Command, sequence: int, now: float) -> None:
        """A command has been sent with this number, at `now` (seconds)."""
        self._last_sequence = sequence
        self.notebook.sent(command, sequence)
        for listener in self.listeners:
            listener(command, sequence)
        if self.replay is not None and self.replay.sent(command, sequence):
            return  # far ahead of its turn
        if isinstance(command, m.Inject):
            disc = command.disc
            center, radius = ((disc.x, disc.y), disc.radius) if disc else (None, 1.0)
            dab = Dab(center, radius, command.amount)
            self.speckles.append(Speckle(sequence, dab, now + SPECKLE_S, command.rule))
            if self.frame is not None:
                self.marks.append(self.frame.time_step.max)

    def pass_time(self, status: Status, now: float) -> None:
        """Once for each picture that is drawn, at `now` (seconds)."""
        self.status = status
        if not status.live:  # what is on its way may be sent again
            return
        if self._speckles_last:
            self._speckles_last = False
            self.speckles = deque(replace(speckle, expires=now + SPECKLE_S) for speckle in self.speckles)
        while self.speckles and self.speckles[0].expires <= now:
            self.speckles.popleft()

    # --- what is known ---

    @property
    def settings(self) -> m.Settings:
        """The settings in force, with the changes that are on their way."""
        return self._settings

    @property
    def watching(self) -> bool:
        """The session is somebody else's."""
        return bool(self.start.watch)

    @property
    def motion(self) -> m.Motion:
        """What the session does, with the commands that are on their way."""
        if self.replay is not None:
            return m.Motion.PAUSED if self.replay.held else self.replay.direction
        return self._motion

    @property
    def healing(self) -> bool:
        """The button that denoises under the pointer is held."""
        return self._healing

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
        if self._healing:
            self._stroke.lift()
            return
        painting = (self.mode is not MouseMode.BRUSH_HELD or self._held) and self.replay is None
        if point is None or not painting or self.help_open or not self.status.live:
            self._stroke.lift()
            return
        if self.watching:
            self.notice = WATCHING
            return
        self._dabs.extend(self._stroke.move(point, self.mode, self.radius, self.strength))

    def mouse_button(self, held: bool) -> None:
        """The mouse button went down or up."""
        self._held = held
        if self.mode is MouseMode.BRUSH_HELD:
            self.mouse_at(self.pointer)

    def heal_button(self, held: bool) -> None:
        """The button that denoises under the pointer went down or up."""
        if held and self.watching:
            self.notice = WATCHING
            return
        self._healing = held and self.replay is None
        self._stroke.lift()

    def take_commands(self) -> list[m.Command]:
        """The commands to send now; called once for each picture that is drawn."""
        commands = list(self._outgoing)
        self._outgoing.clear()
        if not self.status.live:  # a lost session begins again from `start`
            self._dabs.clear()
            return []
        if self.replay is not None:
            commands = self._during_replay(commands)
        if self._dabs:
            self.notice = ""
        waiting = thinned(self._dabs, DABS_WAITING)
        now, self._dabs = waiting[: self.dabs_per_frame], waiting[self.dabs_per_frame :]
        commands += [self._inject(dab) for dab in now]
        if self._healing and self.pointer is not None and not self.help_open and self._caught_up:
            commands.append(m.Step(m.Motion.REVERSE, m.Disc(*self.pointer, self.radius)))
            self._motion, self._stepping = m.Motion.PAUSED, True
        return commands

    # --- a replay ---

    def begin_replay(self, recipe: Recipe) -> None:
        """Replay a recipe in this window: its run takes the place of the present one."""
        if self.watching:
            self.notice = WATCHING
            return
        self.start = replace(recipe.start, model=self.start.model)
        self._settings = recipe.start.settings.apply_to(self._settings)
        self._outgoing.clear()
        self._dabs.clear()
        self.film.clear()
        self.marks.clear()
        self._healing = False
        self.replay = Replay(recipe, over=True)
        self.notice = self.doubt_of(recipe)

    def next_replayed(self, now: float) -> m.Command | None:
        """What the replay sends next, at `now` (seconds), None if nothing; until it has been `sent`."""
        if self.replay is None or self.welcome is None or not self.status.live:
            return None
        command = self.replay.next(now, self.welcome.limits, self.settings.steps_per_second)
        if isinstance(command, m.Configure):
            self._settings = command.settings.apply_to(self._settings)
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
            ending = f"replayed: {replay.recipe.steps} steps; Space goes on from here"
            self.notice = replay.failure or self.doubt_of(replay.recipe) or ending
            self.replay = None
            self._motion, self._stepping, self._direction = m.Motion.PAUSED, True, replay.direction

    def doubt_of(self, recipe: Recipe) -> str:
        """Why a replay may give another picture, "" if it does not."""
        if self.welcome is not None and self.welcome.model.fingerprint != recipe.fingerprint:
            return OTHER_WEIGHTS.format(recipe.start.model, recipe.fingerprint)
        return f"this recipe is not exact: {recipe.inexact}" if recipe.inexact else ""

    @property
    def _caught_up(self) -> bool:
        """Few commands are on their way, so that steps do not go on after the button."""
        landed = self.frame.landed_sequence if self.frame is not None else 0
        return self._last_sequence - landed < HEALING_AHEAD

    def _inject(self, dab: Dab) -> m.Inject:
        disc = None if dab.center is None else m.Disc(*dab.center, dab.radius)
        return m.Inject(disc, min(dab.amount, m.AMOUNT_MAX), self.kind, self.rule)

    # --- for those who compare ---

    @property
    def last_sequence(self) -> int:
        """Of the last command that was sent."""
        return self._last_sequence

    def rest(self) -> None:
        """Let the session rest as it is; strokes that have not been sent are dropped."""
        self._dabs.clear()
        self._move(m.Pause())

    def play_on(self) -> None:
        """Let it run again, the way it ran."""
        self._move(m.Play(self._direction))

    def begun_anew(self, seed: int, origin: m.Origin) -> None:
        """A restart with these was sent past this model; the picture is denoised from there."""
        self.start = replace(self.start, seed=seed, origin=origin, motion=m.Motion.REVERSE)
        self._motion = self._direction = m.Motion.REVERSE
        self._stepping = False
        self._dabs.clear()
        self.film.clear()
        self.marks.clear()

    def taken_over(self, seed: int) -> None:
        """The window goes on with another session: of this seed, though its first steps had another."""
        self.start = replace(self.start, seed=seed)
        self.notebook = Notebook()  # no recipe has two seeds
        self.film.clear()
        self.marks.clear()
        self._outgoing.clear()

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
                self.radius = max(self.radius / 1.15, RADIUS_MIN)
            case Action.LARGER_BRUSH:
                self.radius = min(self.radius * 1.15, RADIUS_MAX)
            case Action.WEAKER:
                self.strength = max(self.strength / 1.25, STRENGTH_MIN)
            case Action.STRONGER:
                self.strength = min(self.strength * 1.25, STRENGTH_MAX)
            case Action.NOISE_KIND:
                self.kind = m.NoiseKind(self.kind % len(m.NoiseKind) + 1)
            case Action.RULE:
                self.rule = m.InjectionRule(self.rule % len(m.InjectionRule) + 1)
            case Action.TOGGLE_PLAY:
                paused = self.motion is m.Motion.PAUSED
                self._move(m.Play(self._direction) if paused else m.Pause())
            case Action.TOGGLE_DIRECTION:
                forward = self._direction is m.Motion.FORWARD
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
            case Action.NO_LABEL:
                self.configure(m.SettingsChange(label=m.NO_LABEL))
            case Action.SAMPLER:
                self.configure(m.SettingsChange(sampler=m.Sampler(settings.sampler % len(m.Sampler) + 1)))
            case Action.SCHEDULE:
                now = (settings.schedule, settings.num_time_steps)
                index = SCHEDULES.index(now) if now in SCHEDULES else -1
                schedule, num_time_steps = SCHEDULES[(index + 1) % len(SCHEDULES)]
                self.configure(m.SettingsChange(schedule=schedule, num_time_steps=num_time_steps))
            case Action.SLOWER:
                slower = [s for s in SPEEDS if s < settings.steps_per_second]
                self.configure(m.SettingsChange(steps_per_second=slower[-1] if slower else SPEEDS[0]))
            case Action.FASTER:
                faster = [s for s in SPEEDS if settings.steps_per_second < s < self.tick_rate_hz]
                self.configure(m.SettingsChange(steps_per_second=faster[0] if faster else self.tick_rate_hz))
            case Action.STRIDE:
                longer = [s for s in STRIDES if s > settings.stride]
                self.configure(m.SettingsChange(stride=longer[0] if longer else STRIDES[0]))
            case Action.LESS_GUIDANCE:
                self.configure(m.SettingsChange(guidance=max(settings.guidance - 0.5, 0.0)))
            case Action.MORE_GUIDANCE:
                self.configure(m.SettingsChange(guidance=min(settings.guidance + 0.5, m.GUIDANCE_MAX)))
            case _:
                self.asked.append(action)

    def configure(self, change: m.SettingsChange) -> None:
        """Change settings; after a loss of the connection they are asked for again."""
        given = {name: value for name, value in vars(change).items() if value is not None}
        self.start = replace(self.start, settings=replace(self.start.settings, **given))
        self._settings = change.apply_to(self._settings)
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
        self._dabs.clear()
        self._move(command)

    def _move(self, command: m.Play | m.Pause | m.Step | m.Back | m.Jump) -> None:
        self._outgoing.append(command)
        self._stepping = isinstance(command, m.Step)
        if isinstance(command, m.Play):
            self._motion = self._direction = command.direction
        else:
            self._motion = m.Motion.PAUSED

    def restart(self, seed: int | None = None, origin: m.Origin | None = None) -> None:
        """Begin the picture anew; None keeps the seed or the origin. From a clean one, time runs forward."""
        origin_now = origin or self.start.origin
        forward = origin_now.time_step == 0  # a clean picture has only one way to go
        motion = m.Motion.FORWARD if forward else m.Motion.REVERSE
        seed_now = self.start.seed if seed is None else seed
        self.start = replace(self.start, seed=seed_now, origin=origin_now, motion=motion)
        self._outgoing.append(m.Restart(seed, origin))
        self._motion = self._direction = m.Motion.REVERSE
        self._stepping = False
        self._dabs.clear()
        self.film.clear()
        self.marks.clear()
        self.try_again = self.status.phase is Phase.REFUSED
        if forward:
            self._move(m.Play(m.Motion.FORWARD))

    def dose(self, amount: float) -> None:
        """Add noise of so many time steps to the whole image, all at once, as kind and rule are chosen."""
        self._outgoing.append(m.Inject(None, amount, self.kind, self.rule))

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

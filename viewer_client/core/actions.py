"""What each key does to the view model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusion_toy.contract import messages as m
from viewer_client.core import options
from viewer_client.core.keymap import Action

if TYPE_CHECKING:
    from viewer_client.core.view_model import ViewModel

FOR_WATCHERS = (  # what one who watches may do as well
    Action.QUIT, Action.HELP, Action.CLOSE_OVERLAY, Action.SAVE, Action.SAVE_GIF,
)  # fmt: skip


def perform(model: ViewModel, action: Action, key: str) -> None:
    """Do what a key asks for; what only the window can do is put on the model's `window_actions`."""
    if model.brush.act(action):
        if action is Action.MOUSE_MODE:
            model.drop_strokes()
        return
    if (change := options.change_of(action, model.settings, model.tick_rate_hz)) is not None:
        model.configure(change)
        return
    match action:
        case Action.QUIT:
            model.quit = True
        case Action.HELP:
            model.help_open = not model.help_open
        case Action.CLOSE_OVERLAY:
            model.help_open = False
        case Action.TOGGLE_PLAY:
            paused = model.motion is m.Motion.PAUSED
            model.move(m.Play(model.direction) if paused else m.Pause())
        case Action.TOGGLE_DIRECTION:
            forward = model.direction is m.Motion.FORWARD
            model.move(m.Play(m.Motion.REVERSE if forward else m.Motion.FORWARD))
        case Action.STEP_REVERSE:
            model.move(m.Step(m.Motion.REVERSE))
        case Action.STEP_FORWARD:
            model.move(m.Step(m.Motion.FORWARD))
        case Action.BACK:
            model.move(m.Back())
        case Action.RESTART:
            model.restart()
        case Action.NEW_SEED:
            model.restart(model.draw_seed(), m.Origin())
        case Action.EXAMPLE:
            _start_from_example(model)
        case Action.LABEL:
            _choose_label(model, int(key))
        case _:
            model.window_actions.append(action)


def _start_from_example(model: ViewModel) -> None:
    if model.welcome is not None and not model.welcome.model.has_examples:
        model.notice = "this model comes without real pictures"
        return
    label = model.settings.label
    example = m.Example(None if label == m.NO_LABEL else label)
    model.restart(model.draw_seed(), m.Origin(example, 0.0))


def _choose_label(model: ViewModel, label: int) -> None:
    names = model.welcome.model.label_names if model.welcome is not None else tuple("0123456789")
    if reason := options.no_such_label(label, names):
        model.notice = reason
        return
    model.configure(m.SettingsChange(label=label))
    if model.frame is not None and model.frame.time_step.max == 0:
        model.notice = f"class {names[label]} is chosen: add noise to use it"

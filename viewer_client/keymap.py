"""Which key does what: the one table from which behaviour and help are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """What a key can ask for."""

    TOGGLE_PLAY = auto()
    STEP_REVERSE = auto()
    STEP_FORWARD = auto()
    TOGGLE_DIRECTION = auto()
    RESTART = auto()
    NEW_SEED = auto()
    EXAMPLE = auto()
    LABEL = auto()
    NO_LABEL = auto()
    MOUSE_MODE = auto()
    SMALLER_BRUSH = auto()
    LARGER_BRUSH = auto()
    WEAKER = auto()
    STRONGER = auto()
    NOISE_KIND = auto()
    RULE = auto()
    SAMPLER = auto()
    SCHEDULE = auto()
    SLOWER = auto()
    FASTER = auto()
    LESS_GUIDANCE = auto()
    MORE_GUIDANCE = auto()
    HELP = auto()
    CLOSE_OVERLAY = auto()
    QUIT = auto()


@dataclass(frozen=True)
class Binding:
    """Keys that do the same. `keys` are names as PyGame gives them, with "ctrl+" or "shift+"."""

    keys: tuple[str, ...]
    action: Action
    shown: str
    help: str


BINDINGS = (
    Binding(("space",), Action.TOGGLE_PLAY, "Space", "play or pause"),
    Binding(("right",), Action.STEP_REVERSE, "Right", "one step of denoising"),
    Binding(("left",), Action.STEP_FORWARD, "Left", "one step of noising"),
    Binding(("f",), Action.TOGGLE_DIRECTION, "F", "play forward (noising) or back (denoising)"),
    Binding(("r",), Action.RESTART, "R", "restart with the same seed"),
    Binding(("n",), Action.NEW_SEED, "N", "restart with a new seed"),
    Binding(("e",), Action.EXAMPLE, "E", "take a real picture and watch it turn to noise"),
    Binding(tuple("0123456789"), Action.LABEL, "0 … 9", "draw this class"),
    Binding(("backspace", "l"), Action.NO_LABEL, "L, Backspace", "draw any class"),
    Binding(("m",), Action.MOUSE_MODE, "M", "mouse: whole image, brush, brush while held"),
    Binding(("[", "wheel down"), Action.SMALLER_BRUSH, "[  wheel", "smaller brush"),
    Binding(("]", "wheel up"), Action.LARGER_BRUSH, "]  wheel", "larger brush"),
    Binding(("up",), Action.STRONGER, "Up", "more noise for each movement"),
    Binding(("down",), Action.WEAKER, "Down", "less noise for each movement"),
    Binding(("k",), Action.NOISE_KIND, "K", "kind of noise: Gaussian, uniform, Laplace …"),
    Binding(("t",), Action.RULE, "T", "rule: truth, naive, lie"),
    Binding(("d",), Action.SAMPLER, "D", "sampler: DDPM or DDIM"),
    Binding(("c",), Action.SCHEDULE, "C", "schedule: cosine 300, linear 300, linear 1000"),
    Binding((",",), Action.SLOWER, "Comma", "fewer steps a second"),
    Binding((".",), Action.FASTER, "Dot", "more steps a second"),
    Binding(("shift+g",), Action.LESS_GUIDANCE, "Shift+G", "less guidance"),
    Binding(("g",), Action.MORE_GUIDANCE, "G", "more guidance towards the class"),
    Binding(("h", "f1"), Action.HELP, "H, F1", "this help"),
    Binding(("escape",), Action.CLOSE_OVERLAY, "Esc", "close the help"),
    Binding(("ctrl+q",), Action.QUIT, "Ctrl+Q", "quit"),
)

_BY_KEY = {key: binding.action for binding in BINDINGS for key in binding.keys}


def action_of(key: str) -> Action | None:
    """What this key does, None if nothing."""
    return _BY_KEY.get(key)

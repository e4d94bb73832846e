"""Which key does what: the one table for behaviour, for the help, and for every text that names a key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from diffusion_toy.contract import messages as m


class Action(Enum):
    """What a key can ask for."""

    TOGGLE_PLAY = auto()
    STEP_REVERSE = auto()
    STEP_FORWARD = auto()
    TOGGLE_DIRECTION = auto()
    BACK = auto()
    SLOWER = auto()
    FASTER = auto()
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
    LESS_GUIDANCE = auto()
    MORE_GUIDANCE = auto()
    STRIDE = auto()
    TYPE_SEED = auto()
    CANVAS = auto()
    BRANCH = auto()
    TWIN = auto()
    COLORS = auto()
    HEAT = auto()
    LARGER_TEXT = auto()
    SMALLER_TEXT = auto()
    SAVE = auto()
    SAVE_GIF = auto()
    SAVE_RECIPE = auto()
    COPY_RECIPE = auto()
    PASTE_RECIPE = auto()
    TOUR = auto()
    HELP = auto()
    CLOSE_OVERLAY = auto()
    QUIT = auto()


@dataclass(frozen=True)
class Binding:
    """Keys that do the same.

    What the mouse does has no keys and no action: it stands here for the help.

    Attributes:
        keys: names as `key_of` gives them.
        shown: how the help writes the keys.
        cap: how a text names the key; by default the first word of `shown`.
    """

    keys: tuple[str, ...]
    action: Action | None
    shown: str
    help: str
    cap: str = ""

    def __post_init__(self) -> None:
        if not self.cap:
            object.__setattr__(self, "cap", self.shown.split()[0])


KINDS = f"kind of noise, {len(m.NoiseKind)} of them"
RULES = f"rule: {', '.join(rule.words for rule in m.InjectionRule)}"
SAMPLERS = f"sampler: {', '.join(sampler.words for sampler in m.Sampler)}"
SCHEDULES = f"schedule: {', '.join(name.key for name in m.ScheduleName)}"


# In the order of the help: a title, and the keys under it.
SECTIONS: tuple[tuple[str, tuple[Binding, ...]], ...] = (
    (
        "Time",
        (
            Binding(("space",), Action.TOGGLE_PLAY, "Space", "play, pause"),
            Binding(("right",), Action.STEP_REVERSE, "Right", "one step of denoising"),
            Binding(("left",), Action.STEP_FORWARD, "Left", "one step of noising"),
            Binding(("f",), Action.TOGGLE_DIRECTION, "F", "run forward (noising) or back"),
            Binding(("z", "ctrl+z"), Action.BACK, "Z", "back to the state before; undo"),
            Binding((",",), Action.SLOWER, ",", "fewer steps a second"),
            Binding((".",), Action.FASTER, ".", "more steps a second"),
            Binding(("v",), Action.STRIDE, "V", "stride: time steps for each step"),
        ),
    ),
    (
        "Picture",
        (
            Binding(("r",), Action.RESTART, "R", "restart, same seed"),
            Binding(("n",), Action.NEW_SEED, "N", "restart, new seed"),
            Binding(("e",), Action.EXAMPLE, "E", "a real one turns to noise"),
            Binding(("x",), Action.CANVAS, "X", "draw your own"),
            Binding(("i",), Action.TYPE_SEED, "I", "type a seed"),
            Binding(tuple("0123456789"), Action.LABEL, "0 … 9", "draw this class", "0-9"),
            Binding(("-", "backspace", "l"), Action.NO_LABEL, "-  L  Back", "draw any class"),
        ),
    ),
    (
        "Mouse",
        (
            Binding(("m",), Action.MOUSE_MODE, "M", "whole image, brush, pressed only"),
            Binding(("[", "wheel down"), Action.SMALLER_BRUSH, "[  wheel", "smaller brush"),
            Binding(("]", "wheel up"), Action.LARGER_BRUSH, "]  wheel", "larger brush"),
            Binding(("up",), Action.STRONGER, "Up", "more noise for each stroke"),
            Binding(("down",), Action.WEAKER, "Down", "less noise for each stroke"),
            Binding(("k",), Action.NOISE_KIND, "K", KINDS),
            Binding(("t",), Action.RULE, "T", RULES),
            Binding((), None, "right", "button held: denoise only there"),
            Binding((), None, "click", "time line, film: go there"),
        ),
    ),
    (
        "Network",
        (
            Binding(("d",), Action.SAMPLER, "D", SAMPLERS),
            Binding(("c",), Action.SCHEDULE, "C", SCHEDULES),
            Binding(("w",), Action.MORE_GUIDANCE, "W", "more guidance to the class"),
            Binding(("shift+w",), Action.LESS_GUIDANCE, "Shift+W", "less guidance"),
        ),
    ),
    (
        "Compare",
        (
            Binding(("b",), Action.BRANCH, "B", "several ways on from this moment"),
            Binding(("j",), Action.TWIN, "J", "a twin that differs in one thing"),
        ),
    ),
    (
        "Keep",
        (
            Binding(("s",), Action.SAVE, "S", "save the picture"),
            Binding(("g",), Action.SAVE_GIF, "G", "save the run as a GIF"),
            Binding(("ctrl+s",), Action.SAVE_RECIPE, "Ctrl+S", "save the recipe"),
            Binding(("ctrl+c",), Action.COPY_RECIPE, "Ctrl+C", "copy the recipe"),
            Binding(("ctrl+v",), Action.PASTE_RECIPE, "Ctrl+V", "replay a copied recipe"),
        ),
    ),
    (
        "Window",
        (
            Binding(("p",), Action.COLORS, "P", "colours"),
            Binding(("o",), Action.HEAT, "O", "lay the time steps over x"),
            Binding(("ctrl+=", "ctrl++"), Action.LARGER_TEXT, "Ctrl +", "larger text", "Ctrl +"),
            Binding(("ctrl+-",), Action.SMALLER_TEXT, "Ctrl −", "smaller text", "Ctrl −"),
            Binding(("f2",), Action.TOUR, "F2", "the tour"),
            Binding(("h", "f1", "?"), Action.HELP, "H  F1", "this help"),
            Binding(("escape",), Action.CLOSE_OVERLAY, "Esc", "close what is open"),
            Binding(("ctrl+q",), Action.QUIT, "Ctrl+Q", "quit"),
        ),
    ),
)

BINDINGS = tuple(binding for _, bindings in SECTIONS for binding in bindings)
_CAPS = {binding.action: binding.cap for binding in BINDINGS if binding.action is not None}
_BY_KEY = {key: binding.action for binding in BINDINGS for key in binding.keys}


def key_of(name: str, character: str = "", *, ctrl: bool = False, shift: bool = False) -> str:
    """A key press as the table writes it, for instance "ctrl+q", "shift+g" or "[".

    Args:
        name: of the key, as PyGame calls it.
        character: what it types, "" if nothing. It counts where it is a sign or a digit, so that
            keyboards on which "[" takes AltGr, or "1" takes Shift, work as well.
    """
    if (
        not ctrl
        and len(character) == 1
        and character.isprintable()
        and not character.isspace()
        and not character.isalpha()
    ):
        return character
    name = name.lower()
    if ctrl:
        return f"ctrl+{name}"
    if shift and f"shift+{name}" in _BY_KEY:
        return f"shift+{name}"
    return name


def action_of(key: str) -> Action | None:
    """What this key does, None if nothing."""
    return _BY_KEY.get(key)


def cap(*actions: Action) -> str:
    """Return the keys for these actions as a text names them, for instance "K" or "[ ]"."""
    return " ".join(_CAPS[action] for action in actions)

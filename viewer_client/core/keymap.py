"""Which key does what: the one table for behaviour, for the help, and for every text that names a key."""

from __future__ import annotations

import unicodedata
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
SAMPLERS = f"sampler, {len(m.Sampler)} of them"
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
        "Save",
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

# What goes on while a key is held; everything else acts once a press.
REPEATED = frozenset({
    Action.STEP_REVERSE, Action.STEP_FORWARD,
    Action.SMALLER_BRUSH, Action.LARGER_BRUSH, Action.WEAKER, Action.STRONGER,
})  # fmt: skip


@dataclass(frozen=True)
class KeyPress:
    """One press of a key as the window system reports it.

    Attributes:
        name: what PyGame calls the key in the layout in force, "" where it has no name.
        character: what the press types, "" if nothing.
        letter: the letter that the key stands for in the layout in force, "" for keys without one. It is
            known even where Ctrl keeps the key from typing it.
        place: what the key at this place types on a US keyboard, "" where it types nothing that counts.
        command: Ctrl is held, or on a Mac Ctrl or Cmd.
        alt: Alt is held (Option on a Mac).
        level3: AltGr is held, or what takes its place: Ctrl with Alt, the right Alt key, Option on a Mac.
        system: a key is held whose combinations belong to the desktop: Super, Windows.
        other_script: other keys have shown that the layout's letters are not Latin ones.
    """

    name: str
    character: str = ""
    letter: str = ""
    place: str = ""
    shift: bool = False
    command: bool = False
    alt: bool = False
    level3: bool = False
    system: bool = False
    other_script: bool = False


def key_of(press: KeyPress) -> str:
    """Return a key press as the table writes it, for instance "ctrl+q", "shift+w" or "[".

    A sign or digit counts by what is typed, so that keyboards on which "[" takes AltGr, or "1" takes Shift,
    work as well. A letter counts by its name, and by its place where the layout's letters are not Latin ones.

    Returns:
        "" for a combination that belongs to the desktop or to nobody, such as Alt+N or Super+C.
    """
    name = _latin_name(press)
    sign = "" if _by_place(press) else _sign(press.character)
    if press.level3 and sign and press.character != press.name and not press.system:
        return sign
    if press.alt or press.level3 or press.system:
        return ""
    if press.command:
        return "" if press.shift and name.isalpha() else f"ctrl+{name}"
    if sign:
        return sign
    shifted = f"shift+{name}"
    return shifted if press.shift and shifted in _BY_KEY else name


def typed_by(press: KeyPress) -> str:
    """Return the text that a press types into a field, "" for a combination of keys."""
    by_level3 = press.level3 and press.character != press.name
    held = press.command or press.alt or press.level3 or press.system
    return "" if held and not by_level3 else press.character


def _sign(character: str) -> str:
    """Return a printable character that is no letter, digits of any script as 0…9; else ""."""
    if len(character) != 1 or not character.isprintable() or character.isspace():
        return ""
    if character.isdecimal():
        return str(int(character))
    # letters and what is put on them: the vowels of Thai and Hindi are marks
    return "" if unicodedata.category(character)[0] in "LM" else character


def _latin_name(press: KeyPress) -> str:
    """Return the name of the key, by its place where what it stands for is no Latin letter."""
    name = press.name.lower()
    if name in ("[+]", "[-]"):  # of the number pad, with Ctrl; alone they type their sign
        return name[1]
    return press.place if _by_place(press) else name


def _by_place(press: KeyPress) -> bool:
    """Return whether a key counts by its place: it has a letter of another script, or a sign where Q or W is.

    Greek and Hebrew keyboards have signs there. In a Latin layout, such as Dvorak's, they are just signs.
    """
    sign_at_letter = press.place.isalpha() and not press.letter.isalpha()
    return is_of_other_script(press.letter) or (press.other_script and sign_at_letter)


def is_of_other_script(letter: str) -> bool:
    """Return whether this is a letter, or a mark that stands for one, of another script than Latin."""
    if len(letter) != 1 or letter.isascii() or unicodedata.category(letter)[0] not in "LM":
        return False
    return not unicodedata.name(letter, "").startswith("LATIN")


def action_of(key: str) -> Action | None:
    """Return what a key does, None if nothing."""
    return _BY_KEY.get(key)


def cap(*actions: Action) -> str:
    """Return the keys for these actions as a text names them, for instance "K" or "[ ]"."""
    return " ".join(_CAPS[action] for action in actions)


def repeats(key: str) -> bool:
    """Return whether a key acts again and again while it is held."""
    return action_of(key) in REPEATED

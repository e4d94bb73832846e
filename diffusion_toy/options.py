"""Options of a program as the fields of a dataclass: each stands once, with type, range, default and help.

    @dataclass(frozen=True)
    class Flags:
        port: int = option(50051, "TCP port to listen on", low=0, high=65535)
        model: tuple[Path, ...] = option((), "a model file; may be given several times", metavar="FILE")

    flags = parse(Flags, argparse.ArgumentParser("serve"), prefix="SERVE_")

The parser, the environment variables, the ranges and the help follow from the fields. The command line wins,
then the variable, then the default. A field has one of these types: int, float, str, Path, an Enum of texts,
bool (a switch, or with None a choice of `--name` and `--no-name`), any of them or None, or a tuple of one of
them: `tuple[Path, ...]` is an option that may be repeated, or one that takes several values, and
`tuple[float, float]` one that takes two. An option whose default is `REQUIRED` has to be given; its dataclass
is `kw_only`.

Programs that have options in common inherit them. A subclass that only names a field again, as in
`port: int = 8080`, gives its option another default and keeps the rest. What a range cannot say, for instance
that one option goes with another only, a `__post_init__` checks.

A program with commands gives each command's parser its options by `add_options`, and reads them by
`read_options` from what the whole parser has found. `check_options` checks an instance that no parser made.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from diffusion_toy.contract.messages import check_range
from diffusion_toy.errors import InvalidValueError

ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

REQUIRED: Any = MISSING  # in place of a default: the option has to be given

T = TypeVar("T")
_KEY = "diffusion_toy.option"


@dataclass(frozen=True)
class Option:
    """What a field says of its option beside type and default; see `option`."""

    help: str
    low: float | None
    high: float | None
    open_low: bool
    open_high: bool
    unit: str
    metavar: str | tuple[str, ...]
    choices: tuple[str | int, ...]
    flag: str
    variable: str
    told: str
    group: str
    several: bool
    positional: bool


def option(
    default: T,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    open_high: bool = False,
    unit: str = "",
    metavar: str | tuple[str, ...] = "",
    choices: Iterable[str | int] = (),
    flag: str = "",
    variable: str = "",
    told: str = "",
    group: str = "",
    several: bool = False,
    positional: bool = False,
) -> T:
    """Declare the option of a field.

    Args:
        default: the value where nothing is given, or `REQUIRED`.
        help: what it is; range, unit, default and variable are added to it.
        low, high: the range of a number; `low` without `high` is "and above". `open_low` and `open_high`
            leave that limit itself out.
        unit: of a number, for instance "s".
        metavar: what stands for the value in the help; of a tuple of two, two of them.
        choices: the values that are allowed; those of an Enum are known.
        flag: the option's name, where that is not the field's with dashes.
        variable: the environment variable that sets it, where it has no prefix and the field's name.
        told: what the help says of the default, where that is not its value.
        group: the heading under which the help has it.
        several: one option takes all values of a tuple, one or more, as in `--radii 4 6`.
        positional: the value stands by its place, without the option's name.
    """
    given = Option(
        help, low, high, open_low, open_high, unit, metavar, tuple(choices), flag, variable, told, group,
        several, positional,
    )  # fmt: skip
    declared: T = field(default=default, metadata={_KEY: given})
    return declared


def parse(
    cls: type[T],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
    *,
    prefix: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> T:
    """Add the options of a dataclass to a parser, parse, and return an instance.

    Args:
        prefix: each option also takes its value from the variable of this and its name, as in
            `DIFFUSION_TOY_TICK_RATE`; None gives a variable only to options that name one. A switch takes 1,
            true, yes, on or 0, false, no, off; an option that may be repeated takes several values with
            commas or blanks between them, or paths with `os.pathsep`. An empty variable counts as unset.

    Raises:
        InvalidValueError: a number outside its range.
        SystemExit: an unknown option, or a value that is not of its type; the parser has said so.
    """
    add_options(cls, parser, prefix=prefix)
    found = parser.parse_args(argv)
    return read_options(cls, found, parser, prefix=prefix, environment=environment)


def add_options(cls: type, parser: argparse.ArgumentParser, *, prefix: str | None = None) -> None:
    """Add the options of a dataclass to a parser; `prefix` as for `parse`."""
    groups: dict[str, _Adds] = {}
    for one in _declared(cls, prefix):
        heading = one.option.group
        if heading and heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        one.add_to(groups[heading] if heading else parser)


def read_options(
    cls: type[T],
    found: argparse.Namespace,
    parser: argparse.ArgumentParser,
    *,
    prefix: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> T:
    """Return an instance of a dataclass whose options `add_options` has added.

    Args:
        found: what the parser has found on the command line.
        parser: ends the program in words where a variable's value is not of its type.
        prefix: as for `parse`.
        environment: where variables are looked up.

    Raises:
        InvalidValueError: a number outside its range.
    """
    given = vars(found)
    values: dict[str, Any] = {}
    for one in _declared(cls, prefix):
        source = one.flag
        if one.name in given:
            value = one.finished(given[one.name])
        elif one.variable and environment.get(one.variable):
            source = f"environment variable {one.variable}"
            try:
                value = one.from_text(environment[one.variable])
            except ValueError as error:
                parser.error(f"{source}: {error}")
        else:
            continue
        one.check(source, value)
        values[one.name] = value
    return cls(**values)


def check_options(instance: Any) -> None:
    """Check the ranges and choices of an instance's options; for a `__post_init__`.

    Raises:
        InvalidValueError: a value outside them; it names the field.
    """
    for one in _declared(type(instance), None):
        value = getattr(instance, one.name)
        one.check(one.name, value)
        for single in value if one.repeated else (value,):
            if one.choices and isinstance(single, str | int) and single not in one.choices:
                raise InvalidValueError(one.name, repr(single), " or ".join(map(str, one.choices)))


def _declared(cls: type, prefix: str | None) -> list[_Declared]:
    hints = get_type_hints(cls)
    found = ((one, _declaration(cls, one.name)) for one in fields(cls))
    return [_Declared(one, about, hints[one.name], prefix) for one, about in found if about is not None]


def _declaration(cls: type, name: str) -> Option | None:
    """Return what the class, or the nearest of its bases that says anything, says of a field's option."""
    for base in cls.__mro__:
        declared: Field[Any] | None = vars(base).get("__dataclass_fields__", {}).get(name)
        if declared is not None and _KEY in declared.metadata:
            about: Option = declared.metadata[_KEY]
            return about
    return None


class _Adds(Protocol):
    """A parser, or a group of one."""

    def add_argument(self, *names: str, **how: Any) -> Any: ...


class _Declared:
    """One option: its field, and its type in parts."""

    def __init__(self, declared: Field[Any], about: Option, hint: Any, prefix: str | None) -> None:
        self.name = declared.name
        self.default: Any = declared.default
        self.option = about
        self.flag = self.option.flag or "--" + self.name.replace("_", "-")
        made = None if prefix is None else prefix + self.flag.removeprefix("--").replace("-", "_").upper()
        self.variable = self.option.variable or made
        self.optional = get_origin(hint) in (types.UnionType, Union)
        if self.optional:
            (hint,) = (part for part in get_args(hint) if part is not type(None))
        self.repeated = get_origin(hint) is tuple
        kinds = tuple(part for part in get_args(hint) if part is not ...) if self.repeated else (hint,)
        self.count = (
            len(kinds) if self.repeated and ... not in get_args(hint) else None
        )  # of a tuple's values
        self.kind: Any = kinds[0]
        known = isinstance(self.kind, type) and issubclass(self.kind, int | float | str | Path | Enum)
        if not known or len(set(kinds)) > 1:
            raise TypeError(f"{self.flag}: no text stands for a value of the type {hint}")
        self.choices = self.option.choices
        if issubclass(self.kind, Enum):
            self.choices = tuple(str(member.value) for member in self.kind)

    def add_to(self, parser: _Adds) -> None:
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "help": self.help_text()}
        if self.kind is bool:
            how["action"] = argparse.BooleanOptionalAction if self.optional else "store_true"
        else:
            how["type"] = str if issubclass(self.kind, Enum) else self.kind
            together = self.option.several or self.count is not None
            how["action"] = "append" if self.repeated and not together else "store"
            if together:
                how["nargs"] = self.count or "+"
            if self.choices:
                how["choices"] = self.choices
            if self.option.metavar:
                how["metavar"] = self.option.metavar
        if self.option.positional:
            parser.add_argument(self.name, **how)
        else:
            parser.add_argument(self.flag, dest=self.name, required=self.default is REQUIRED, **how)

    def help_text(self) -> str:
        about, details, told = self.option, [], self.option.told
        if about.low is not None:
            unit = f" {about.unit}" if about.unit else ""
            details.append(_range_text(about, about.low) + unit)
        elif about.unit:
            details.append(about.unit)
        if not told and self.default not in (None, "", (), REQUIRED) and self.kind is not bool:
            values = self.default if self.repeated else (self.default,)
            told = " ".join(map(_short, values))
        if told:
            details.append(f"default: {told}")
        text = about.help
        if self.choices and about.metavar:  # which stands where argparse would list them
            text += f": {', '.join(map(str, self.choices))}"
        if details:
            text += f" ({', '.join(details)})"
        if self.variable:
            several = f"; several with {self.between} between" if self.repeated else ""
            text += f" [env: {self.variable}{several}]"
        return text.replace("%", "%%")

    @property
    def between(self) -> str:
        """Return in words what is between a variable's values: addresses have colons, and paths blanks."""
        return repr(os.pathsep) if issubclass(self.kind, Path) else "commas or blanks"

    def finished(self, value: Any) -> Any:
        """Return a value of argparse as the field has it."""
        values = value if self.repeated else (value,)
        finished = tuple(self.kind(one) if issubclass(self.kind, Enum) else one for one in values)
        return finished if self.repeated else finished[0]

    def from_text(self, text: str) -> Any:
        """Return the value that a variable's text stands for.

        Raises:
            ValueError: it stands for none; the text of the error says why.
        """
        if not self.repeated:
            return self._one(text)
        parts = text.split(os.pathsep) if issubclass(self.kind, Path) else re.split(r"[,\s]+", text)
        values = tuple(self._one(part) for part in parts if part)
        if self.count not in (None, len(values)):
            raise ValueError(f"{text!r} is not {self.count} values with {self.between} between them")
        return values

    def _one(self, text: str) -> Any:
        if self.kind is bool:
            if text.lower() not in (*ON, *OFF):
                raise ValueError(f"{text!r} is not one of {', '.join((*ON, *OFF))}")
            return text.lower() in ON
        try:
            value = text if issubclass(self.kind, Enum) else self.kind(text)
        except ValueError:
            raise ValueError(f"invalid {self.kind.__name__} value: {text!r}") from None
        if self.choices and value not in self.choices:
            raise ValueError(f"invalid choice: {value!r} (choose from {', '.join(map(str, self.choices))})")
        return self.finished((value,))[0] if self.repeated else self.finished(value)

    def check(self, source: str, value: Any) -> None:
        about = self.option
        if about.low is None or value is None:
            return
        high = math.inf if about.high is None else about.high
        for one in value if self.repeated else (value,):
            check_range(source, one, about.low, high, open_low=about.open_low, open_high=about.open_high)


def _range_text(about: Option, low: float) -> str:
    """Return a range as the help has it: 0…1, 1 and above, above 0 and below 1."""
    if about.high is None:
        return f"above {_short(low)}" if about.open_low else f"{_short(low)} and above"
    if about.open_low and about.open_high:
        return f"above {_short(low)} and below {_short(about.high)}"
    text = f"{'above ' if about.open_low else ''}{_short(low)}…{_short(about.high)}"
    return f"{text}, {_short(about.high)} excluded" if about.open_high else text


def _short(value: object) -> str:
    """Return a value as a user writes it."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int) and value >= 2**31 and not value & (value + 1):
        return f"2^{value.bit_length()}−1"
    return f"{value:g}" if isinstance(value, float) else str(value)

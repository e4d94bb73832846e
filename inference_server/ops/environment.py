"""Options from environment variables: the command line wins, then the variable, then the default."""

from __future__ import annotations

import argparse
import os
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

_UNSET = object()


def add_environment(
    parser: ArgumentParser, prefix: str = "DIFFUSION_TOY_", environ: Mapping[str, str] = os.environ
) -> None:
    """Let each option of a finished parser also take its value from a variable.

    With the default prefix, `--tick-rate` has DIFFUSION_TOY_TICK_RATE.

    A flag without a value takes 1, true, yes, on or 0, false, no, off; an option that may be repeated
    takes several values with `os.pathsep` between them. An empty variable counts as unset. Variables are
    read when the command line is parsed, and only for options that are not on it; a bad value ends the
    program as a bad option does, with the variable's name. The help names the variables.

    Raises:
        TypeError: an option of a kind that no text stands for (as one that counts).
    """
    variables = {action: f"{prefix}{_name(action)}" for action in parser._actions if _takes_variable(action)}
    for action, variable in variables.items():
        if action.help is not argparse.SUPPRESS:
            action.help = f"{action.help or ''} [env: {variable}]".lstrip()
    parse = parser.parse_known_args

    def parse_known_args(
        args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Namespace, list[str]]:
        given = {action: environ[name] for action, name in variables.items() if environ.get(name)}
        namespace = Namespace() if namespace is None else namespace
        required = [action for action in given if action.required]
        for action in given:  # None where the command line appends to what it finds
            setattr(namespace, action.dest, None if _appends(action) else _UNSET)
        for action in required:
            action.required = False
        try:
            namespace, rest = parse(args, namespace)
        finally:
            for action in required:
                action.required = True
        for action, text in given.items():
            if getattr(namespace, action.dest) in (None, _UNSET):
                try:
                    setattr(namespace, action.dest, _value(action, text))
                except ArgumentTypeError as error:
                    parser.error(f"environment variable {variables[action]}: {error}")
        return namespace, rest

    parser.parse_known_args = parse_known_args  # type: ignore[method-assign,assignment]


def _long(action: Action) -> str | None:
    return next((option for option in action.option_strings if option.startswith("--")), None)


def _name(action: Action) -> str:
    return (_long(action) or "").removeprefix("--").replace("-", "_").upper()


def _appends(action: Action) -> bool:
    return isinstance(action, argparse._AppendAction)


def _switches(action: Action) -> bool:
    return isinstance(action, argparse._StoreTrueAction | argparse.BooleanOptionalAction)


def _takes_variable(action: Action) -> bool:
    if _long(action) is None or isinstance(action, argparse._HelpAction | argparse._VersionAction):
        return False
    if action.nargs is None or _switches(action):
        return True
    raise TypeError(f"{_long(action)}: an option of this kind has no form as an environment variable")


def _value(action: Action, text: str) -> object:
    if _switches(action):
        if text.lower() not in (*ON, *OFF):
            raise ArgumentTypeError(f"{text!r} is not one of {', '.join((*ON, *OFF))}")
        return text.lower() in ON
    if _appends(action):
        return [_convert(action, part) for part in text.split(os.pathsep) if part]
    return _convert(action, text)


def _convert(action: Action, text: str) -> object:
    kind: Any = action.type or str
    try:
        value = kind(text)
    except (TypeError, ValueError) as error:
        name = getattr(kind, "__name__", repr(kind))
        raise ArgumentTypeError(f"invalid {name} value: {text!r}") from error
    if action.choices is not None and value not in action.choices:
        choices = ", ".join(map(str, action.choices))
        raise ArgumentTypeError(f"invalid choice: {text!r} (choose from {choices})")
    return value

"""Tables that convert a plain value to its protobuf message and back, one entry for each field.

A field that both have under the same name stands once in a table, and both directions follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from diffusion_toy.errors import InvalidValueError

E = TypeVar("E", bound=IntEnum)
V = TypeVar("V")
M = TypeVar("M", bound=Message)
D = TypeVar("D")


@dataclass(frozen=True)
class Field:
    """Convert one field.

    Attributes:
        to_proto: takes the plain value, and returns what the message's constructor takes; None leaves the
            field unset.
        from_proto: takes the message, the field's name, and its path in the protocol for error messages.
    """

    to_proto: Callable[[Any], Any]
    from_proto: Callable[[Any, str, str], Any]


def _unchanged(value: Any) -> Any:
    return value


def _read(message: Any, name: str, path: str) -> Any:
    return getattr(message, name)


def _read_if_set(message: Any, name: str, path: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


SAME = Field(_unchanged, _read)  # always there
OPTIONAL = Field(_unchanged, _read_if_set)  # None where it is unset
NAMES = Field(_unchanged, lambda message, name, path: tuple(getattr(message, name)))  # repeated


def or_default(default: int) -> Field:
    """Return a field of a number for which the protocol's 0 stands for `default`."""
    return Field(_unchanged, lambda message, name, path: getattr(message, name) or default)


def enum_field(kind: type[E], default: E | None = None) -> Field:
    """Return a field of an enum; an unset one reads as `default`."""

    def read(message: Any, name: str, path: str) -> E | None:
        return read_enum(kind, getattr(message, name), default, path)

    return Field(lambda value: int(value or 0), read)


def read_enum(kind: type[E], number: int, default: D, path: str) -> E | D:
    """Return the member of an enum that a message names by its number; 0 is unset.

    Raises:
        InvalidValueError: a number that the enum does not have.
    """
    if number == 0:
        return default
    try:
        return kind(number)
    except ValueError:
        allowed = ", ".join(f"{member.value} {member.name}" for member in kind)
        raise InvalidValueError(path, number, allowed) from None


@dataclass(frozen=True)
class Table(Generic[V, M]):
    """Convert one kind of plain value, field by field.

    Attributes:
        value: class of the plain values.
        message: class of their messages.
        path: how the protocol calls the message, for error messages.
        fields: by name, which the value and the message share.
    """

    value: type[V]
    message: type[M]
    path: str
    fields: dict[str, Field]

    def to_proto(self, value: V) -> M:
        """Return the message of a value."""
        return self.message(
            **{name: field.to_proto(getattr(value, name)) for name, field in self.fields.items()}
        )

    def from_proto(self, message: M) -> V:
        """Return the value of a message.

        Raises:
            InvalidValueError: a value out of range.
        """
        return self.value(
            **{
                name: field.from_proto(message, name, f"{self.path}.{name}")
                for name, field in self.fields.items()
            }
        )

    def field(self) -> Field:
        """Return a field that holds such a message, and is always set."""
        return Field(self.to_proto, lambda message, name, path: self.from_proto(getattr(message, name)))

    def optional_field(self) -> Field:
        """Return a field that holds such a message, or is None where it is unset."""

        def write(value: V | None) -> M | None:
            return None if value is None else self.to_proto(value)

        def read(message: Any, name: str, path: str) -> V | None:
            return self.from_proto(getattr(message, name)) if message.HasField(name) else None

        return Field(write, read)

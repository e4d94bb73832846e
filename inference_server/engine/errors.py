"""The errors that end a start: there is no room, or no such session."""

from __future__ import annotations

from diffusion_toy.errors import DiffusionToyError


class ServerFullError(DiffusionToyError):
    """No slot is free, or all capacity is promised to those who are here."""


class NotHereError(DiffusionToyError):
    """There is no such session, or it belongs to another model."""

"""What the viewer remembers from one run to the next: that the tour has been seen.

One small JSON file in the place that the platform has for such files. One that cannot be read counts as
empty, and one that cannot be written is forgotten: neither is worth a word to the user.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diffusion_toy.errors import MissingExtraError
from diffusion_toy.files import write_atomically

CONFIG_VARIABLE = "DIFFUSION_TOY_CONFIG"
FOLDER, FILE = "diffusion-toy", "viewer.json"


@dataclass(frozen=True)
class Preferences:
    """What is remembered; the defaults are those of a first run."""

    tour_seen: bool = False


def folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where the file lies: DIFFUSION_TOY_CONFIG, else the platform's place; None without any.

    Raises:
        MissingExtraError: platformdirs is not installed.
    """
    try:
        from platformdirs import user_config_path
    except ModuleNotFoundError as error:
        raise MissingExtraError("platformdirs", "viewer") from error

    if chosen := environment.get(CONFIG_VARIABLE):
        return Path(chosen)
    path = user_config_path(FOLDER, appauthor=False, roaming=True)
    return path if path.is_absolute() else None  # relative for one who has no home


def load(place: Path | None) -> Preferences:
    """Return what the file in this folder says; the defaults where there is none that can be read."""
    if place is None:
        return Preferences()
    try:
        content = json.loads((place / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return Preferences()
    return Preferences(tour_seen=isinstance(content, dict) and content.get("tour_seen") is True)


def save(place: Path | None, preferences: Preferences) -> None:
    """Write the file, if that is possible; whoever reads meanwhile finds the old one or the new one."""
    if place is None:
        return
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / FILE, (json.dumps(vars(preferences)) + "\n").encode())

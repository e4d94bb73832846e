"""What the viewer remembers from one run to the next: that the tour has been seen.

One small JSON file in the place that the platform has for such files. One that cannot be read counts as
empty, and one that cannot be written is forgotten: neither is worth a word to the user.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONFIG_VARIABLE = "DIFFUSION_TOY_CONFIG"
FOLDER, FILE = "diffusion-toy", "viewer.json"


@dataclass(frozen=True)
class Preferences:
    """What is remembered; the defaults are those of a first run."""

    tour_seen: bool = False


def folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path | None:
    """Where the file lies: the variable DIFFUSION_TOY_CONFIG, else the platform's place; None without any."""
    if chosen := environment.get(CONFIG_VARIABLE):
        return Path(chosen)
    if platform == "win32" and (roaming := environment.get("APPDATA")):
        return Path(roaming) / FOLDER
    xdg = environment.get("XDG_CONFIG_HOME", "")
    if platform not in ("win32", "darwin") and os.path.isabs(xdg):  # a relative one is to be ignored
        return Path(xdg) / FOLDER
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if platform == "darwin":
        return home / "Library" / "Application Support" / FOLDER
    return home / ".config" / FOLDER


def load(place: Path | None) -> Preferences:
    """What the file in this folder says."""
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
    fresh = place / f"{FILE}.{os.getpid()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(vars(preferences)) + "\n", encoding="utf-8")
        fresh.replace(place / FILE)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)

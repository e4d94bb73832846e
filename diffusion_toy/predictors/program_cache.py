"""The folder that keeps compiled programs for the next start."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

CACHE_BYTES = 256 * 2**20  # of compiled programs; those of a model take some 40 MB


def _discard_oldest(folder: Path) -> None:
    """Remove what was not used for the longest time, until the rest takes no more than `CACHE_BYTES`."""
    kept = sorted(((entry.stat(), entry) for entry in folder.glob("*.blob")), key=lambda one: one[0].st_atime)
    surplus = sum(stat.st_size for stat, _ in kept) - CACHE_BYTES
    for stat, entry in kept:
        if surplus <= 0:
            return
        entry.unlink(missing_ok=True)
        surplus -= stat.st_size


def usable_cache(folder: Path) -> Path | None:
    """Return the folder if programs can be kept there, else None, and say so."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _discard_oldest(folder)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        log.warning(
            "programs are not kept for the next start: %s cannot be written (%s); choose another --cache-dir",
            folder, error.strerror or error,
        )  # fmt: skip
        return None
    return folder

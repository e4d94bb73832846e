"""What this computer's processor can do, as far as it says so. No torch."""

from __future__ import annotations

import os


def cpu_flags() -> frozenset[str]:
    """Return the names of the processor's instruction sets, as Linux calls them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return frozenset(next((line.split()[2:] for line in file if line.startswith("flags")), []))
    except OSError:  # not Linux: nothing is known, so nothing is assumed
        return frozenset()


def lacks_avx2() -> bool:
    """Tell whether this is a processor of Intel's kind that is known to have no AVX2 (2013 and later)."""
    flags = cpu_flags()
    return "sse2" in flags and "avx2" not in flags


def available_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1

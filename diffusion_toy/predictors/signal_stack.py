"""The stack that this thread's signal handlers run on, kept from a library that would put its own there.

OpenVINO gives the thread that compiles a program an alternate signal stack with room for AMX registers, and
frees it with the program, without putting back the one before. The next signal, Ctrl-C for instance, then
ends the process by a segmentation fault: Python's handlers run on the alternate stack.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


class _SignalStack(ctypes.Structure):
    """Holds a `stack_t` of <signal.h>; it is only given back, so its fields may be in any order."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Put back this thread's alternate signal stack afterwards; do nothing where there is no such thing."""
    try:
        sigaltstack = ctypes.CDLL(None).sigaltstack
    except (AttributeError, OSError, TypeError):  # Windows
        yield
        return
    before = _SignalStack()
    sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        sigaltstack(ctypes.byref(before), None)

"""What a figure was taken on, in a line."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from tests.tools import ROOT


def hardware() -> str:
    """The processor and its cores, in words."""
    name, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    flags = ""
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            known = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
            flags = next(
                (f" ({flag.replace('_', '-').upper()})" for flag in known if flag in value.split()), ""
            )
            break
    return f"{name}{flags}, {os.cpu_count()} cores"


def describe() -> str:
    """Hardware, torch and commit."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return f"{hardware()}; torch {torch.__version__}; commit {commit}"

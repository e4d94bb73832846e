"""The cases that the page's tests read are what the viewer's code gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.golden.cases import FILE, cases


def _differences(path: str, kept: Any, made: Any) -> list[str]:
    """Where two documents differ by more than rounding."""
    if isinstance(made, dict) and isinstance(kept, dict) and made.keys() == kept.keys():
        return [line for key in made for line in _differences(f"{path}.{key}", kept[key], made[key])]
    if isinstance(made, list) and isinstance(kept, list) and len(made) == len(kept):
        pairs = enumerate(zip(kept, made, strict=True))
        return [line for n, (one, other) in pairs for line in _differences(f"{path}[{n}]", one, other)]
    same = kept == pytest.approx(made) if isinstance(made, float) else kept == made
    return [] if same else [f"{path}: {kept!r} instead of {made!r}"]


def test_the_golden_cases_are_what_the_viewer_gives() -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    differences = _differences("", kept, cases())
    assert not differences, f"run: python -m tests.golden.cases ({differences[:3]})"

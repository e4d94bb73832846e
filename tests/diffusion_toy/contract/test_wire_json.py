"""A request as JSON: whatever stands where, it is read or refused in one sentence."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from diffusion_toy.contract.wire_json import request_from_json
from diffusion_toy.errors import DiffusionToyError

REQUESTS: list[dict[str, Any]] = [
    {
        "inject": {
            "disc": {"x": 0.5, "y": 0.5, "radius": 0.1}, "amount": 4.0,
            "kind": "NOISE_KIND_SMOOTH", "rule": "INJECTION_RULE_NAIVE",
        }
    },
    {
        "configure": {
            "settings": {
                "label": 1, "guidance": 1.0, "steps_per_second": 5, "stride": 2, "eta": 0.5,
                "schedule": "SCHEDULE_NAME_LINEAR", "num_time_steps": 300, "sampler": "SAMPLER_DDIM",
            }
        }
    },
    {"jump": {"step": 3}},
    {"jump": {"time_step": 3}},
    {"play": {"direction": "MOTION_FORWARD"}},
    {"restart": {"seed": 3, "origin": {"time_step": 1, "pixels": "AA=="}}},
]  # fmt: skip
VALUES: list[object] = [
    float("inf"), -float("inf"), float("nan"), 10**400, -(10**30), 2**63, True, None, [], {}, [1], {"a": 1},
    "", "x", "1", "1e400", "Infinity", 1.5, "\ud800",
]  # fmt: skip


def places(document: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: next(iter(request)))
def test_the_requests_themselves_are_good(request_: dict[str, Any]) -> None:
    request_from_json(request_)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:12])
def test_any_value_in_any_place_is_read_or_refused(value: object) -> None:
    for request in REQUESTS:
        for path in places(request):
            document = copy.deepcopy(request)
            inner = document
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            refusal = ""
            try:
                request_from_json(document)
            except DiffusionToyError as error:
                refusal = str(error)
            assert "\n" not in refusal

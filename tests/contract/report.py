"""What the clients in this folder have to see: each prints the same report of the same session."""

from __future__ import annotations

from typing import Any

SEED = 2**63 - 1  # more than a double or a signed 32-bit number holds
IMAGE_BYTES = 2 * 28 * 28  # float16


def check_session(report: dict[str, Any]) -> None:
    """A session with one injection and one bad command that ended by a half-close."""
    assert report["status"] == {"code": 0, "name": "OK", "details": report["status"]["details"]}
    assert report["first_response"] == "welcome"
    assert report["responses"]["welcome"] == 1

    welcome = report["welcome"]
    assert welcome["session_id"]
    assert welcome["server_version"]
    assert int(welcome["seed"]) == SEED
    assert welcome["window"] == 2
    assert welcome["shape"] == [1, 28, 28]
    assert welcome["labels"] == list("0123456789")
    assert welcome["label"] == 3
    assert welcome["schedule"] == ["SCHEDULE_NAME_COSINE", 301, 1]
    assert welcome["tick_rate_hz"] == 60

    assert report["frames"] == report["responses"]["frame"] > 3
    assert report["numbers_rise"] is True
    assert report["motion"] == "MOTION_REVERSE"
    assert report["byte_lengths"]["x_t"] == {str(IMAGE_BYTES): report["frames"]}
    assert report["byte_lengths"]["x0_hat"] == {str(IMAGE_BYTES): report["frames"]}
    # before the injection all pixels have one level, after it they have not
    assert set(report["byte_lengths"]["level_map"]) == {"0", str(IMAGE_BYTES)}
    applied = report["applied"]
    assert applied["level_map"] == IMAGE_BYTES
    assert applied["min"] < 290 < applied["max"] <= 300

    rejected = report["rejected"]
    assert int(rejected["sequence"]) == 3
    assert rejected["field"] == "inject.disc.radius"
    assert float(rejected["value"]) == 7
    assert rejected["limit"]
    assert rejected["message"]


def check_unstarted(report: dict[str, Any]) -> None:
    """A stream whose first request is an acknowledgement."""
    assert report["status"]["name"] == "FAILED_PRECONDITION"
    assert report["status"]["code"] == 9
    assert "must be start" in report["status"]["details"]
    assert report["frames"] == 0
    assert "welcome" not in report

"""Log lines for people and for machines."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inference_server.ops.logs import Format, configure_logging

log = logging.getLogger("inference_server.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The test runner's own handlers again afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []  # so that they are not closed
    yield
    logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)


def logged(format: Format, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level, format, stream)
    return stream


def only_object(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert isinstance(found, dict)
    return found


def test_json_has_time_level_logger_message_and_the_extra_fields() -> None:
    stream = logged("json")
    log.info("session %s starts", "5a", extra={"session": "5a", "peer": "ipv4:1.2.3.4:5", "seed": 2**63 - 1})
    found = only_object(stream)
    time = datetime.fromisoformat(found.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)
    assert found == {
        "level": "info",
        "logger": "inference_server.test",
        "message": "session 5a starts",
        "session": "5a",
        "peer": "ipv4:1.2.3.4:5",
        "seed": 2**63 - 1,
    }


def test_json_stays_on_one_line_whatever_is_logged() -> None:
    stream = logged("json")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("it\nfailed …", extra={"path": Path("a\nb"), "text": '"x"'}, stack_info=True)
    found = only_object(stream)
    assert found["message"] == "it\nfailed …"
    assert found["path"] == "a\nb"
    assert found["text"] == '"x"'
    assert found["exception"].endswith("ValueError: first\nsecond")
    assert "Traceback" in found["exception"]
    assert "test_logs" in found["stack"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), [float("nan")], {("a", 1): 2}, b"\xff", {1, 2}])
def test_json_stays_json_whatever_the_extra_field(odd: object) -> None:
    stream = logged("json")
    log.info("odd", extra={"odd": odd})
    found = only_object(stream)
    assert found["message"] == "odd"
    assert "odd" in found


def test_an_extra_field_does_not_hide_a_standard_one() -> None:
    stream = logged("json")
    log.info("x", extra={"level": 7, "time": "noon"})
    found = only_object(stream)
    assert (found["level"], found["level_"], found["time_"]) == ("info", 7, "noon")


def test_text_shows_the_extra_fields_at_the_end() -> None:
    stream = logged("text")
    log.info("a session starts", extra={"session": "5a", "peer": "ipv4:1.2.3.4:5", "seed": 7})
    assert stream.getvalue().endswith(" INFO a session starts session=5a peer=ipv4:1.2.3.4:5 seed=7\n")


def test_text_quotes_what_would_not_read_as_one_word() -> None:
    stream = logged("text")
    log.info("x", extra={"a": "two words", "b": "", "c": 'say "so"', "d": "k=v", "e": "line\nline"})
    assert stream.getvalue().endswith(r' x a="two words" b="" c="say \"so\"" d="k=v" e="line\nline"' + "\n")


def test_text_puts_an_exception_below_the_fields() -> None:
    stream = logged("text")
    try:
        raise ValueError("so")
    except ValueError:
        log.exception("failed", extra={"session": "5a"})
    first, second, *_, last = stream.getvalue().splitlines()
    assert first.endswith("ERROR failed session=5a")
    assert second.startswith("Traceback")
    assert last == "ValueError: so"


@pytest.mark.parametrize("format", ["text", "json"])
def test_the_level_holds(format: Format) -> None:
    stream = logged(format, "warning")
    log.info("no")
    log.warning("yes")
    assert "yes" in stream.getvalue()
    assert "no" not in stream.getvalue()


def test_warnings_of_python_are_in_the_log() -> None:
    stream = logged("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)  # again: catch_warnings has its own hook
        warnings.warn("careful", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    found = only_object(stream)
    assert found["logger"] == "py.warnings"
    assert "careful" in found["message"]


def test_configuring_twice_logs_once() -> None:
    logged("text")
    stream = logged("json")
    log.info("once")
    assert only_object(stream)["message"] == "once"

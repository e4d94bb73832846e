"""The server's log: lines for people, or JSON for machines; both with the fields of `extra=`."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class TextFormatter(logging.Formatter):
    """Time, level, message, then the extra fields as key=value; exceptions below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with its extra fields at the end."""
        fields = (f" {name}={_word(value)}" for name, value in _extra(record).items())
        return super().formatMessage(record) + "".join(fields)


def _word(value: object) -> str:
    text = str(value)
    return text if re.fullmatch(r'[^\s"=]+', text) else json.dumps(text, ensure_ascii=False)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, extra fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        fields |= {f"{name}_" if name in fields else name: value for name, value in _extra(record).items()}
        try:
            return json.dumps(fields, default=str, allow_nan=False)
        except (TypeError, ValueError):  # an infinity, or an odd key, somewhere within an extra field
            return json.dumps({name: str(value) for name, value in fields.items()})


def configure_logging(level: str, format: str = "text", stream: TextIO | None = None) -> None:
    """Log to `stream` (default: stderr) from `level` up, and nowhere else; warnings of Python as well."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)

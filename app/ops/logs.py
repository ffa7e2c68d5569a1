"""Log formats: JSON for machines, plain text for a terminal. One line per event.

Exceptions are logged by type and location, without their messages: a driver's message
names hosts and users, and a parser's quotes its input.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

RECORD_FIELDS = "fields"


def configure_logging(level: str, *, as_json: bool) -> None:
    """Send all log records to stderr in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def adopt_uvicorn_logs() -> None:
    """Replace uvicorn's own log handlers and its access log.

    Its handlers print messages of exceptions, and its access log duplicates that of
    AccessLogMiddleware.
    """
    server, access = (logging.getLogger(n) for n in ("uvicorn", "uvicorn.access"))
    for logger in (server, access):
        logger.handlers.clear()
    server.propagate, access.propagate = True, False


def fields(**values: object) -> dict[str, dict[str, object]]:
    """The fields of a log line, for `extra=`; None values are left out."""
    return {RECORD_FIELDS: {key: v for key, v in values.items() if v is not None}}


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _first_line(record),
            **getattr(record, RECORD_FIELDS, {}),
        }
        if error := _error(record):
            line["exception"] = list(error)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """The same content as plain text."""

    def format(self, record: logging.LogRecord) -> str:
        own = getattr(record, RECORD_FIELDS, {})
        line = f"{self.formatTime(record)} {record.levelname} {_first_line(record)}"
        pairs = "".join(f" {key}={value}" for key, value in own.items())
        return "\n    ".join([line + pairs, *_error(record)])


def _first_line(record: logging.LogRecord) -> str:
    # asyncio appends the repr of a task, with its exception's message, on a new line.
    return record.getMessage().partition("\n")[0]


def _error(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    return list(describe_error(error)) if error else []


def describe_error(error: BaseException) -> Iterator[str]:
    """Types and locations of an exception and its causes, without messages."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield f"{type(current).__module__}.{type(current).__qualname__}"
        for frame in traceback.extract_tb(current.__traceback__):
            yield f"  at {frame.filename}:{frame.lineno} in {frame.name}"
        current = current.__cause__ or current.__context__

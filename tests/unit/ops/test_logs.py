"""The content of log lines."""

import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.ops.logs import (
    JsonFormatter,
    PlainFormatter,
    adopt_uvicorn_logs,
    configure_logging,
    describe_error,
    fields,
)


def record_of(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("x.y", logging.INFO, "f.py", 1, message, None, info)


def failure() -> BaseException:
    error = RuntimeError("host=hush-hush")
    error.__cause__ = ValueError("password=hush-hush")
    with pytest.raises(RuntimeError) as raised:
        raise error
    return raised.value


def test_a_line_of_json_has_the_fields_of_its_event() -> None:
    record = record_of("request")
    record.__dict__.update(fields(status=200, encode_ms=None))
    record.created = datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC).timestamp()
    line = json.loads(JsonFormatter().format(record))
    assert line == {
        "time": "2026-01-31T12:00:00.500000+00:00",
        "level": "info",
        "logger": "x.y",
        "message": "request",
        "status": 200,
    }


def test_f74_an_exception_shows_types_and_places_but_no_message() -> None:
    for formatter in (JsonFormatter(), PlainFormatter()):
        text = formatter.format(record_of("broken", failure()))
        assert "RuntimeError" in text
        assert "ValueError" in text
        assert "in failure" in text
        assert "hush-hush" not in text


def test_only_the_first_line_of_a_message_is_logged() -> None:
    text = JsonFormatter().format(record_of("never retrieved\nfuture: hush-hush"))
    assert "never retrieved" in text
    assert "hush-hush" not in text


def test_a_line_for_a_person_has_them_as_well() -> None:
    record = record_of("request")
    record.__dict__.update(fields(status=200, encode_ms=None, path="/api"))
    text = PlainFormatter().format(record)
    time = PlainFormatter().formatTime(record)
    assert text == f"{time} INFO request status=200 path=/api"
    assert PlainFormatter().format(record_of("alone")).endswith(" INFO alone")


def test_an_error_is_its_types_and_places_each_once() -> None:
    error = failure()
    first, place, cause = describe_error(error)
    assert (first, cause) == ("builtins.RuntimeError", "builtins.ValueError")
    assert place.startswith(f"  at {__file__}:")
    assert place.endswith(" in failure")
    # A cyclic chain of causes.
    assert error.__cause__ is not None
    error.__cause__.__cause__ = error
    assert len(list(describe_error(error))) == 3


def test_without_a_cause_it_is_told_what_was_being_handled() -> None:
    with pytest.raises(KeyError) as raised:
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            _ = {"present": 1}["absent"]
    names = [line for line in describe_error(raised.value) if "  at " not in line]
    assert names == ["builtins.KeyError", "builtins.ZeroDivisionError"]


def test_a_line_of_json_and_one_for_a_person_name_the_error_below_them() -> None:
    error = failure()
    expected = list(describe_error(error))
    line = json.loads(JsonFormatter().format(record_of("broken", error)))
    assert line["exception"] == expected
    assert "exception" not in json.loads(JsonFormatter().format(record_of("fine")))
    text = PlainFormatter().format(record_of("broken", error))
    assert text.split("\n    ")[1:] == expected


def test_what_json_does_not_know_is_written_as_text() -> None:
    record = record_of("request")
    record.__dict__.update(fields(error=ValueError("a")))
    assert json.loads(JsonFormatter().format(record))["error"] == "a"


@pytest.fixture
def loggers() -> Iterator[list[logging.Logger]]:
    """The root logger and those of uvicorn, restored at the end."""
    found = [logging.getLogger(n) for n in ("", "uvicorn", "uvicorn.access")]
    before = [(each.handlers[:], each.level, each.propagate) for each in found]
    yield found
    for each, (handlers, level, propagate) in zip(found, before, strict=True):
        each.handlers[:] = handlers
        each.setLevel(level)
        each.propagate = propagate


@pytest.mark.parametrize(
    ("as_json", "kind"), [(True, JsonFormatter), (False, PlainFormatter)]
)
def test_all_lines_go_to_stderr_in_one_form(
    loggers: list[logging.Logger], as_json: bool, kind: type[logging.Formatter]
) -> None:
    root = loggers[0]
    root.addHandler(logging.NullHandler())
    configure_logging("warning", as_json=as_json)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr
    assert type(handler.formatter) is kind
    assert root.level == logging.WARNING


def test_lines_of_a_uvicorn_with_handlers_become_ours_but_those_about_requests(
    loggers: list[logging.Logger],
) -> None:
    _, server, access = loggers
    for logger in (server, access):
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    access.propagate = True
    adopt_uvicorn_logs()
    assert (server.handlers, access.handlers) == ([], [])
    assert (server.propagate, access.propagate) == (True, False)

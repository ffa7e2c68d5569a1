"""What a log line holds, and what it must not."""

import json
import logging

import pytest

from app.ops.logs import JsonFormatter, PlainFormatter, fields


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
    line = json.loads(JsonFormatter().format(record))
    assert line.pop("time")
    assert line == {
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


def test_what_stands_below_the_first_line_is_left_out() -> None:
    text = JsonFormatter().format(record_of("never retrieved\nfuture: hush-hush"))
    assert "never retrieved" in text
    assert "hush-hush" not in text

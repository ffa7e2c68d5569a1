"""Say in one sentence what is wrong with a request, without its input."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api import requests

Fault = Mapping[str, Any]

NOT_VALID = "The request is not valid"
# The message of a JSON parser that finds a name twice, see `app.api.strict_route`.
NAME_TWICE = "a name occurs twice"
NOT_JSON = {NAME_TWICE: "the body has a field twice"}

# By the type of Pydantic's error.
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_type": "an integer",
    "list_type": "a list",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a string",
}
REASONS = {
    "missing": "is missing",
    "string_pattern_mismatch": "should have a character that is not a space",
    "string_too_long": "should have at most {most} characters",
    "string_too_short": "should not be empty",
    "string_unicode": "should be a string without lone surrogates",
    "too_long": "should have at most {most} items",
    "too_short": "should not be empty",
}
# The body was not parsed, because of its Content-Type.
UNPARSED = (
    f"{NOT_VALID}: the Content-Type of the body should be application/json, and the"
    " body JSON."
)

# The names that a sentence may quote: any other may be input.
QUOTABLE = frozenset(
    name
    for model in vars(requests).values()
    if isinstance(model, type) and issubclass(model, BaseModel)
    for name in model.model_fields
)
# Objects whose names are input.
FREE_NAMES = frozenset({"max_per"})


def describe(faults: Sequence[Fault]) -> str:
    """One sentence for a list of Pydantic's errors.

    >>> describe([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    'The request is not valid: the body is missing.'
    """
    if any(fault["loc"] == ("body",) and _is_bytes(fault) for fault in faults):
        return UNPARSED
    named = [(_name(fault["loc"]), fault) for fault in faults]
    reasons = dict.fromkeys(
        reason
        for name, group in groupby(named, key=lambda pair: pair[0])
        for reason in _reasons(name, [fault for _, fault in group])
    )
    return f"{NOT_VALID}: {'; '.join(reasons)}."


def describe_http(error: HTTPException) -> str:
    """One sentence for an error of the framework."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        return f"Method Not Allowed: this path takes {allowed or 'other methods'}."
    if error.status_code == HTTPStatus.NOT_FOUND:
        return "Not Found: this path does not exist; `/openapi.json` lists the paths."
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__:
        return f"The body cannot be parsed: {_obstacle(error.__cause__)}."
    return f"{error.detail}."


def _obstacle(cause: BaseException) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return "it should be JSON in UTF-8, not compressed"
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    return "a number in it has too many digits"


def _is_bytes(fault: Fault) -> bool:
    return isinstance(fault.get("input"), bytes)


def _name(place: Sequence[str | int]) -> str:
    """As in `events[3].user_id`; without names that are input or Pydantic's own."""
    name = ""
    for part in place[1:]:
        if isinstance(part, int):
            name += f"[{part}]" if name else ""
        elif name in FREE_NAMES:
            return f"a value of {name}"
        elif part in QUOTABLE:
            name += f".{part}" if name else part
    return name or f"the {place[0]}"


def _reasons(name: str, faults: Sequence[Fault]) -> Iterator[str]:
    """What is wrong with one field; of a union's branches what says most."""
    kinds = dict.fromkeys(EXPECTED.get(fault["type"]) for fault in faults)
    others = [fault for fault in faults if fault["type"] not in EXPECTED]
    for fault in others:
        yield _reason(name, fault)
    if not others:
        yield f"{name} should be {' or '.join(kind for kind in kinds if kind)}"


def _reason(name: str, fault: Fault) -> str:
    kind, message = fault["type"], str(fault["msg"]).removeprefix("Value error, ")
    if kind == "json_invalid":
        return NOT_JSON.get(fault["ctx"]["error"], "the body is not JSON")
    if kind == "extra_forbidden":
        # The name of an unknown field is input too.
        return f"{_name(fault['loc'][:-1])} has an unknown field"
    if kind in REASONS:
        most = fault.get("ctx", {}).get("max_length")
        return f"{name} {REASONS[kind].format(most=most)}"
    if kind == "value_error" and name == "the body":
        return message
    message = message.removeprefix("Input ")
    return f"{name} {message[:1].lower()}{message[1:]}"

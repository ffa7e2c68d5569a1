"""Filterable columns of `skill_job1`: their types, values and JSON."""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np

from app.errors import InvalidInputError, SchemaError
from app.query.constraints import Scalar
from app.query.ids import INT64
from app.query.numbers import EXACT_IN_A_FLOAT, SAFE, exact

ColumnType = Literal["text", "integer", "number", "boolean", "date", "timestamp"]

# Type names of Postgres' `format_type`, and those of the API.
TYPES: Mapping[str, ColumnType] = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "uuid": "text",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp",
}
# The types to which values of a request are cast, if not the column's own.
CASTS = {"character varying": "text", "character": "text", "smallint": "bigint",
         "integer": "bigint"}  # fmt: skip

# Integers as `exact` writes them; no column has more digits.
DIGITS = re.compile(r"-?[0-9]{1,1000}", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TIME = r"[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?"
TIMESTAMP = re.compile(rf"{DATE.pattern}({TIME})?", re.ASCII)

WANTED: Mapping[ColumnType, str] = {
    "text": "text without null characters",
    "integer": "an integer of 64 bits",
    "number": "a finite number",
    "boolean": "true or false",
    "date": "a date, for example 2026-01-31",
    "timestamp": "a timestamp, for example 2026-01-31T12:00:00Z",
}


@dataclass(frozen=True)
class JobColumn:
    """A filterable column; `sql_type`: its type's name in the catalogue."""

    name: str
    sql_type: str

    @property
    def type(self) -> ColumnType:
        return TYPES[self.sql_type]

    @property
    def cast(self) -> str:
        """The type of literals; it allows an index on the column."""
        return CASTS.get(self.sql_type, self.sql_type)

    @property
    def shown_as(self) -> str:
        """The type to which values are cast before they become JSON."""
        return "text" if self.sql_type == "numeric" else self.cast

    @property
    def has_ranges(self) -> bool:
        return self.type in ("integer", "number", "date", "timestamp")

    def public(self, value: object) -> object:
        """What an answer shows of a value that came as JSON; None where it is not a
        number that JSON has.
        """
        if self.type != "number" or value is None:
            return exact(value)
        # numeric is read as text: it may have more digits than Python parses as a
        # number.
        number = float(str(value))
        if not math.isfinite(number):
            return None
        if isinstance(value, str) and _is_whole_and_unsafe(value):
            return value.partition(".")[0]
        return int(number) if _is_whole(number) else number

    def literal(self, value: Scalar) -> str:
        """The text of a value that Postgres can read as `cast`.

        Raises InvalidInputError, which names the column.
        """
        try:
            text = _literal(self, value)
        except (ValueError, OverflowError):
            text = None
        if text is None:
            wanted = "a UUID" if self.sql_type == "uuid" else WANTED[self.type]
            raise InvalidInputError(
                f"The request is not valid: filters.{self.name} should be {wanted}."
            )
        return text


def filterable_columns(
    types: Mapping[str, str], names: Sequence[str]
) -> tuple[JobColumn, ...]:
    """The columns with these names. `types`: the types of the table's columns.

    Raises SchemaError, which names the first absent or unsupported column.
    """
    for name in names:
        if name not in types:
            raise SchemaError(
                f"JOB_COLUMNS names the column {name}, which the table skill_job1 does"
                " not have; correct the setting or add the column."
            )
        if types[name] not in TYPES:
            raise SchemaError(
                f"JOB_COLUMNS names the column {name}, whose type {types[name]} cannot"
                " be offered; it may be text, a number, boolean, a date, a timestamp"
                " or a UUID."
            )
    return tuple(JobColumn(name, types[name]) for name in names)


def _is_whole(number: float) -> bool:
    return number.is_integer() and abs(number) <= EXACT_IN_A_FLOAT


def _is_whole_and_unsafe(text: str) -> bool:
    """Whether the text of a numeric is an integer that is not safe in JSON."""
    whole, _, rest = text.partition(".")
    return not rest.strip("0") and int(whole) not in SAFE


def public(
    columns: Sequence[JobColumn], values: Sequence[object]
) -> dict[str, object] | None:
    """The values of the columns of a row, by name; None where no column is offered."""
    if not columns:
        return None
    pairs = zip(columns, values, strict=True)
    return {column.name: column.public(value) for column, value in pairs}


def _literal(column: JobColumn, value: Scalar) -> str | None:
    if column.type == "boolean":
        return str(value) if isinstance(value, bool) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return _from_text(column, value)
    if column.type == "integer":
        return _integer(value)
    return _number(column, value) if column.type == "number" else None


def _from_text(column: JobColumn, value: str) -> str | None:
    value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    if column.sql_type == "uuid":
        return str(uuid.UUID(value))
    if column.type == "text":
        return None if "\x00" in value else value
    if column.type == "date":
        return date.fromisoformat(value).isoformat() if DATE.fullmatch(value) else None
    if column.type == "timestamp":
        return _timestamp(column, value)
    return _from_digits(column, value) if DIGITS.fullmatch(value) else None


def _from_digits(column: JobColumn, value: str) -> str | None:
    """Parse an integer that is a string in JSON because it is not safe."""
    if column.type == "integer":
        return _integer(int(value))
    return _number(column, int(value)) if column.type == "number" else None


def _integer(value: float) -> str | None:
    """Parse an integer; as everywhere in a request, 41.0 is the integer 41."""
    if isinstance(value, float):
        if not _is_whole(value):
            return None
        value = int(value)
    return str(value) if value in INT64 else None


def _number(column: JobColumn, value: float) -> str | None:
    number = float(value)
    if column.sql_type == "real":
        with np.errstate(over="ignore"):
            number = float(np.float32(number))
    if not math.isfinite(number):
        return None
    return str(value) if isinstance(value, int) else repr(number)


def _timestamp(column: JobColumn, value: str) -> str | None:
    """Parse ISO 8601. Without an offset it is UTC, as is a column without time zone."""
    if not TIMESTAMP.fullmatch(value):
        return None
    moment = datetime.fromisoformat(value.upper())
    # In UTC, because Postgres refuses offsets of 16 hours and more.
    utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if column.sql_type == "timestamp without time zone":
        utc = utc.replace(tzinfo=None)
    return utc.isoformat()

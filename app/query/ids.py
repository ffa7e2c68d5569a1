"""Ids of jobs and users: integer, uuid or text columns, told by the catalogue."""

import re
import uuid
from dataclasses import dataclass
from typing import Literal

Id = int | str
Kind = Literal["integer", "uuid", "text"]

INTEGER_TYPES = frozenset({"smallint", "integer", "bigint"})
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class IdColumn:
    """How one id column is read, compared and shown."""

    kind: Kind

    @classmethod
    def of_type(cls, type_name: str) -> "IdColumn":
        """From a type name as Postgres' `format_type` gives it."""
        if type_name in INTEGER_TYPES:
            return cls("integer")
        return cls("uuid" if type_name == "uuid" else "text")

    @property
    def cast(self) -> str:
        """The SQL type that values are cast to on their way out and in."""
        return {"integer": "int8", "uuid": "uuid", "text": "text"}[self.kind]

    def parse(self, value: Id) -> Id | None:
        """The value as this column holds it, or None when no row can have it.

        An id in a URL or a form is text: "42" finds the integer 42, and 42 finds
        the text "42".
        """
        if self.kind == "integer":
            return _integer(value)
        if self.kind == "uuid":
            return _uuid(value)
        text = str(value)
        return None if "\x00" in text else text

    def to_stream(self, id_: Id) -> int | bytes:
        """An id, as `parse` gives it, in the form of a COPY BINARY record."""
        if isinstance(id_, int):
            return id_
        return uuid.UUID(id_).bytes if self.kind == "uuid" else id_.encode()

    def from_stream(self, raw: int | bytes) -> Id:
        """The public form of an id as a COPY BINARY record holds it.

        NumPy drops the zero bytes at the end of a fixed-size string.
        """
        if isinstance(raw, int):
            return raw
        if self.kind == "uuid":
            return str(uuid.UUID(bytes=raw.ljust(16, b"\0")))
        return raw.decode()


def _integer(value: Id) -> int | None:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,19}", value):
            return None
        value = int(value)
    return value if value in INT64 else None


def _uuid(value: Id) -> str | None:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        return None

"""Ids of jobs and users: integer, uuid or text, by the column's type."""

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
    """Parses, encodes and decodes the ids of one column."""

    kind: Kind

    @classmethod
    def of_type(cls, type_name: str) -> "IdColumn":
        """From a type name as Postgres' `format_type` returns it."""
        if type_name in INTEGER_TYPES:
            return cls("integer")
        return cls("uuid" if type_name == "uuid" else "text")

    @property
    def cast(self) -> str:
        """The SQL type that ids are cast to, both read and written."""
        return {"integer": "int8", "uuid": "uuid", "text": "text"}[self.kind]

    def parse(self, value: Id) -> Id | None:
        """The value in the column's type, or None when no row can have it.

        An id in a URL or a form is text: "42" matches the integer 42, and 42 the text
        "42".
        """
        if self.kind == "integer":
            return _integer(value)
        if self.kind == "uuid":
            return _uuid(value)
        text = str(value)
        return None if "\x00" in text else text

    def to_stream(self, id_: Id) -> int | bytes:
        """Encode an id from `parse` as in a COPY BINARY record."""
        if isinstance(id_, int):
            return id_
        return uuid.UUID(id_).bytes if self.kind == "uuid" else id_.encode()

    def from_stream(self, raw: int | bytes) -> Id:
        """Decode an id of a COPY BINARY record into its public form.

        A uuid may be shorter than 16 bytes: NumPy drops zero bytes at the end.
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

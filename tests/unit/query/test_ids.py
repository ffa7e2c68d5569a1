"""Ids of each kind, in requests and COPY records."""

import uuid
from typing import Any

import pytest

from app.query.ids import Id, IdColumn, Kind

ONE = "6f1c1d0e-8f2b-4c3a-9d5e-0a1b2c3d4e00"


@pytest.mark.parametrize(
    ("type_name", "kind", "cast"),
    [
        ("smallint", "integer", "int8"),
        ("integer", "integer", "int8"),
        ("bigint", "integer", "int8"),
        ("uuid", "uuid", "uuid"),
        ("text", "text", "text"),
        ("character varying(40)", "text", "text"),
    ],
)
def test_a_type_of_the_database_tells_the_kind(
    type_name: str, kind: Kind, cast: str
) -> None:
    column = IdColumn.of_type(type_name)
    assert (column.kind, column.cast) == (kind, cast)


@pytest.mark.parametrize(
    ("kind", "given", "found"),
    [
        ("integer", 42, 42),
        ("integer", "42", 42),
        ("integer", "-7", -7),
        ("integer", "x42", None),
        ("integer", "42 ", None),
        ("integer", "", None),
        ("integer", "-", None),
        ("integer", "٤٢", None),  # digits, and none that Postgres reads
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", 2**63, None),
        ("integer", -(2**63), -(2**63)),
        ("integer", str(-(2**63)), -(2**63)),
        ("integer", -(2**63) - 1, None),
        ("integer", "9" * 19, None),  # beyond 64 bits
        ("integer", "0" * 20, None),  # a digit more than any id has
        ("text", 42, "42"),
        ("text", "a b", "a b"),
        ("text", "a\x00", None),  # no text of Postgres has it
        ("uuid", ONE.upper(), ONE),
        ("uuid", ONE.replace("-", ""), ONE),
        ("uuid", "42", None),
        ("uuid", 42, None),
    ],
)
def test_an_id_is_read_as_its_column_holds_it(
    kind: Kind, given: Id, found: Id | None
) -> None:
    assert IdColumn(kind).parse(given) == found


@pytest.mark.parametrize(
    ("kind", "id_", "raw"),
    [
        ("integer", 42, 42),
        ("text", "jöb", "jöb".encode()),
        ("uuid", ONE, uuid.UUID(ONE).bytes),
    ],
)
def test_an_id_comes_back_from_the_stream(kind: Kind, id_: Id, raw: Any) -> None:
    column = IdColumn(kind)
    assert column.to_stream(id_) == raw
    assert column.from_stream(raw) == id_


def test_zero_bytes_at_the_end_of_a_uuid_are_put_back() -> None:
    assert IdColumn("uuid").from_stream(uuid.UUID(ONE).bytes.rstrip(b"\0")) == ONE

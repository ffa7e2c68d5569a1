"""Rows of a file on their way into a table: staged, checked, merged."""

import io
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg2
from psycopg2.sql import SQL, Composable, Identifier

from app.errors import AppError, InvalidInputError
from app.query.ids import INTEGER_TYPES
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable
from app.storage.sql import load

QUERIES = load("imported")

# A name that no table's column has, for the line of the file.
LINE = SQL('"line in the file"')
SHOWN_DUPLICATES = 5
STREAMED_ROWS = 64

PLACE = re.compile(r"\bimported\D+(\d+)(?:\D+?([^\s:]+): )?")
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class TargetColumn:
    """A column of the table: `is_generated` is never written, `is_always` once."""

    name: str
    type_name: str
    is_generated: bool
    is_always: bool


@dataclass(frozen=True)
class ImportTarget:
    """The table that is loaded, and the columns that the file has for it."""

    table: EntityTable
    columns: Sequence[TargetColumn]


@dataclass(frozen=True)
class Refused:
    """Why Postgres refused a row: which row of the stream, counted from 1."""

    row: int | None
    column: str | None
    reason: str


def target_columns(
    transaction: Transaction, table: EntityTable
) -> Sequence[TargetColumn]:
    """The columns of a table."""
    found = transaction.rows(QUERIES["target_columns"], {"table": table.quoted_name})
    return [TargetColumn(*row) for row in found]


def add_text_columns(
    transaction: Transaction, table: EntityTable, names: Sequence[str]
) -> None:
    """Add columns of type text where they are absent."""
    for name in names:
        transaction.execute(
            SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} TEXT").format(
                table.identifier, Identifier(name)
            )
        )


def stage(
    transaction: Transaction,
    target: ImportTarget,
    rows: Iterable[tuple[int, Sequence[str | None]]],
) -> None:
    """COPY (line, values) of all rows into a temporary table, streaming."""
    columns = _names(target)
    query = QUERIES["stage"].format(
        line=LINE, columns=columns, table=target.table.identifier
    )
    transaction.execute(query)
    stream = _Stream(rows)
    transaction.copy_in(SQL("imported ({}, {})").format(LINE, columns), stream)
    if stream.error is not None:
        raise stream.error


def check_ids(transaction: Transaction, target: ImportTarget) -> None:
    """Raises InvalidInputError, with the lines, for an id that lacks or comes twice."""
    names = {"key": Identifier(target.table.key), "line": LINE}
    without = transaction.rows(QUERIES["without_id"].format(**names))[0][0]
    if without is not None:
        raise InvalidInputError(f"Line {without} has no {target.table.key}.")
    found = transaction.rows(
        QUERIES["duplicates"].format(**names), {"limit": SHOWN_DUPLICATES}
    )
    if found:
        pairs = "; ".join(f"{id_} in lines {a} and {b}" for id_, (a, b), _ in found)
        more = found[0][2] - len(found)
        others = f"; and {more} more" if more else ""
        raise InvalidInputError(
            f"The file has more than one row with the same {target.table.key}: {pairs}"
            f"{others}. Leave one row for each."
        )


def merge(transaction: Transaction, target: ImportTarget) -> tuple[int, int]:
    """Update the rows that differ, add those that are new: (updated, inserted)."""
    names = {
        "table": target.table.identifier,
        "key": Identifier(target.table.key),
        "columns": _names(target),
        "line": LINE,
    }
    updated = 0
    written = [
        Identifier(column.name)
        for column in target.columns
        if column.name != target.table.key and not column.is_always
    ]
    if written:
        assignments = SQL(", ").join(SQL("{0} = new.{0}").format(n) for n in written)
        differences = SQL(" OR ").join(
            SQL("old.{0} IS DISTINCT FROM new.{0}").format(n) for n in written
        )
        updated = transaction.execute(
            QUERIES["update"].format(
                assignments=assignments, differences=differences, **names
            )
        )
    inserted = transaction.execute(QUERIES["insert"].format(**names))
    _move_sequences(transaction, target)
    return updated, inserted


def refusal(error: AppError) -> Refused | None:
    """What Postgres says of a row that it refused; None for any other error."""
    cause = error.__cause__
    if not isinstance(cause, psycopg2.Error) or not cause.pgcode:
        return None
    place = PLACE.search(cause.diag.context or "")
    return Refused(
        row=int(place[1]) if place else None,
        column=place[2] if place else None,
        reason=cause.diag.message_primary or str(error),
    )


def _move_sequences(transaction: Transaction, target: ImportTarget) -> None:
    """Let the next row without an id get a free one."""
    columns = {c.name for c in target.columns if c.type_name in INTEGER_TYPES}
    for column, sequence in transaction.rows(
        QUERIES["sequences"], {"table": target.table.quoted_name}
    ):
        if column in columns:
            query = QUERIES["move_sequence"].format(column=Identifier(column))
            transaction.rows(query, {"sequence": sequence})


def _names(target: ImportTarget) -> Composable:
    return SQL(", ").join(Identifier(column.name) for column in target.columns)


class _Stream(io.TextIOBase):
    """Rows in COPY's text format, made as they are read: no file is held whole."""

    def __init__(self, rows: Iterable[tuple[int, Sequence[str | None]]]) -> None:
        self._rows = iter(rows)
        # What ended the rows early. psycopg2 would make a failed statement of it.
        self.error: AppError | None = None

    def read(self, _size: int | None = -1, /) -> str:
        # psycopg2 asks for 8 KB at a time and takes longer pieces as they are.
        try:
            return "".join(map(_line, itertools.islice(self._rows, STREAMED_ROWS)))
        except AppError as error:
            self.error = error
            return ""


def _line(row: tuple[int, Sequence[str | None]]) -> str:
    number, values = row
    fields = ("\\N" if value is None else value.translate(ESCAPED) for value in values)
    return "\t".join([str(number), *fields]) + "\n"

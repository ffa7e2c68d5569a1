"""Load jobs or users from a CSV file with a header line, through COPY.

Columns go to the table's columns of the same name. A row whose id is in the table
already updates it where it differs; running the same import twice changes nothing.
"""

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import _path  # noqa: F401  (finds `app`)
import psycopg2
from psycopg2.sql import SQL, Identifier

from app.config import ScriptSettings, read_settings
from app.deadline import Deadline
from app.errors import AppError, InvalidInputError
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.transaction import Transaction
from app.storage.queries import COLUMNS

TIMEOUT_S = 3600.0

TABLES = {"jobs": ("skill_job1", "job_id"), "users": ("users", "user_id")}

# A skills text may be a whole posting; the csv module stops at 128 KB.
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Target:
    """The table that is loaded, its key, and the columns that the file has for it."""

    table: str
    key: str
    columns: Sequence[str]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    table, key = TABLES[args.what]
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        database = Database(dsn, pool_size=1)
        try:
            with (
                args.file.open(encoding="utf-8-sig", newline="") as file,
                database.write(Deadline.after(TIMEOUT_S)) as transaction,
            ):
                print(_load(transaction, file, table, key, args))
        finally:
            database.close()
    except (AppError, OSError, UnicodeDecodeError, csv.Error) as error:
        print(f"import_csv: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _sentence(error: Exception) -> str:
    """The error, with what Postgres says of the data: the reader owns both."""
    if isinstance(error.__cause__, psycopg2.Error) and error.__cause__.pgcode:
        diagnostics = error.__cause__.diag
        return f"{error} {diagnostics.message_primary} ({diagnostics.context})"
    return str(error)


def _load(
    transaction: Transaction,
    file: TextIO,
    table: str,
    key: str,
    args: argparse.Namespace,
) -> str:
    rows = csv.reader(file)
    header = _header(rows, args.column)
    for name in args.add_columns:
        transaction.execute(
            SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} TEXT").format(
                Identifier(table), Identifier(name)
            )
        )
    target = _target(transaction, table, key, header)
    _copy(transaction, target, rows, [header.index(name) for name in target.columns])
    updated, inserted = _merge(transaction, target)
    ignored = [name for name in header if name not in target.columns]
    text = f"{table}: {inserted} rows added, {updated} updated."
    return (
        f"{text} Columns not in the table: {', '.join(ignored)}." if ignored else text
    )


def _header(rows: Iterator[list[str]], renamed: Sequence[str]) -> list[str]:
    names = dict(pair.split("=", 1)[::-1] for pair in renamed)
    header = [names.get(name, name) for name in next(rows, [])]
    if len(set(header)) < len(header):
        raise InvalidInputError("The file's header line names a column twice.")
    return header


def _target(
    transaction: Transaction, table: str, key: str, header: Sequence[str]
) -> Target:
    present = {row[1] for row in transaction.rows(COLUMNS, {"tables": [table]})}
    if not present:
        raise InvalidInputError(
            f"The database has no table {table}; run `python scripts/migrate.py`."
        )
    for needed in (key, "skills"):
        if needed not in header:
            raise InvalidInputError(
                f"The file has no column {needed}; its header line must name one, or"
                f" map another with --column {needed}=NAME."
            )
    return Target(table, key, [name for name in header if name in present])


def _copy(
    transaction: Transaction,
    target: Target,
    rows: Iterator[list[str]],
    positions: Sequence[int],
) -> None:
    """COPY the wanted columns of all rows into a temporary table, streaming."""
    columns = SQL(", ").join(map(Identifier, target.columns))
    transaction.execute(
        SQL(
            "CREATE TEMPORARY TABLE imported ON COMMIT DROP AS"
            " SELECT {} FROM {} WITH NO DATA"
        ).format(columns, Identifier(target.table))
    )
    transaction.copy_in(
        SQL("imported ({})").format(columns), _CsvStream(rows, positions)
    )


def _merge(transaction: Transaction, target: Target) -> tuple[int, int]:
    """Update the rows that differ, add those that are new: (updated, inserted)."""
    names = {
        "table": Identifier(target.table),
        "key": Identifier(target.key),
        "columns": SQL(", ").join(map(Identifier, target.columns)),
        "assignments": SQL(", ").join(
            SQL("{0} = new.{0}").format(Identifier(name)) for name in target.columns
        ),
        "differences": SQL(" OR ").join(
            SQL("old.{0} IS DISTINCT FROM new.{0}").format(Identifier(name))
            for name in target.columns
        ),
    }
    updated = transaction.execute(
        SQL(
            "UPDATE {table} AS old SET {assignments} FROM imported AS new"
            " WHERE old.{key} = new.{key} AND ({differences})"
        ).format(**names)
    )
    inserted = transaction.execute(
        SQL(
            "INSERT INTO {table} ({columns}) SELECT DISTINCT ON ({key}) {columns}"
            " FROM imported AS new WHERE NOT EXISTS"
            " (SELECT FROM {table} AS old WHERE old.{key} = new.{key})"
        ).format(**names)
    )
    return updated, inserted


class _CsvStream(io.TextIOBase):
    """A file of CSV for COPY, made row by row: the input is never held whole."""

    def __init__(self, rows: Iterator[list[str]], positions: Sequence[int]) -> None:
        self._lines = self._encode(rows, positions)

    def read(self, _size: int | None = -1, /) -> str:
        return next(self._lines, "")

    def _encode(
        self, rows: Iterator[list[str]], positions: Sequence[int]
    ) -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        yield ",".join(f"c{position}" for position in positions) + "\n"
        for number, row in enumerate(rows, start=1):
            if not row:
                continue
            if len(row) <= max(positions):
                raise InvalidInputError(f"Row {number} of the file has too few fields.")
            writer.writerow([row[position] for position in positions])
            # psycopg2 asks for 8 KB at a time and takes longer pieces as they are.
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=sorted(TABLES))
    parser.add_argument("file", type=Path, help="a UTF-8 CSV file with a header line")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="TABLE=FILE",
        help="the table's column TABLE is called FILE in the file; may be repeated",
    )
    parser.add_argument(
        "--add-columns",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,…",
        help="add these columns to the table, as text, where they are absent",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

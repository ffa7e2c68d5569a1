"""Load jobs or users from a CSV file with a header line, through COPY.

Columns go to the table's columns of the same name; capitals, spaces and signs do not
matter. A row whose id is in the table already updates it where it differs; running the
same import twice changes nothing. A file with a fault changes nothing either: the line
is named.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.commands.import_csv.source import CsvSource, open_source
from app.config import ScriptSettings, read_settings
from app.deadline import Deadline
from app.errors import AppError, InvalidInputError
from app.query.numbers import counted
from app.storage import imported
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.dsn import primary
from app.storage.connection.transaction import Transaction
from app.storage.entity import KEYS, EntityTable
from app.storage.imported import ImportTarget

IMPORT_TIMEOUT_S = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        database = Database(dsn, pool_size=1)
        try:
            with _seekable(args.file) as file:
                print(_import(database, file, args))
        finally:
            database.close()
    except (AppError, OSError, LookupError) as error:
        print(f"import_csv: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _seekable(path: Path) -> Iterator[BinaryIO]:
    """The file; of a pipe, a copy on disk: it is read more than once."""
    with path.open("rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield copy


def _import(database: Database, file: BinaryIO, args: argparse.Namespace) -> str:
    renamed = dict(pair.split("=", 1)[::-1] for pair in args.column)
    needed = (KEYS[args.what], "skills")
    source = open_source(file, needed, encoding=args.encoding, renamed=renamed)
    try:
        with database.write(Deadline.after(IMPORT_TIMEOUT_S)) as transaction:
            table = Catalogue.read(transaction).entity(args.what)
            imported.add_text_columns(transaction, table, args.add_columns)
            target, ignored = _target(transaction, table, source)
            imported.stage(transaction, target, source.rows(target))
            imported.check_ids(transaction, target)
            updated, inserted = imported.merge(transaction, target)
    except AppError as error:
        if refused := imported.refusal(error):
            raise InvalidInputError(source.explain(refused)) from error
        raise
    said = [f"{table.table}: {counted(inserted, 'rows')} added, {updated} updated."]
    if ignored:
        said.append(f"Columns not in the table: {', '.join(ignored)}.")
    if source.is_guessed:
        said.append(
            f"It was read as {source.encoding}; if letters look wrong, import it again"
            " with --encoding."
        )
    return " ".join(said)


def _target(
    transaction: Transaction, table: EntityTable, source: CsvSource
) -> tuple[ImportTarget, Sequence[str]]:
    """The target, and the file's columns that the table has not, or fills itself."""
    present = imported.target_columns(transaction, table)
    positions = source.header.positions([column.name for column in present])
    columns = [c for c in present if c.name in positions and not c.is_generated]
    written = {column.name: positions[column.name] for column in columns}
    for needed in (table.key, "skills"):
        if needed not in positions:
            raise InvalidInputError(
                f"The file has no column {needed}; its header line must name one, or"
                f" map another with --column {needed}=NAME."
            )
    return ImportTarget(table, columns), source.header.others(written)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=list(KEYS))
    parser.add_argument(
        "file",
        type=Path,
        help="CSV with a header line; commas, semicolons, tabs or pipes; UTF-8, UTF-16"
        " or Windows-1252",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        type=_pair,
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
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="the file's encoding, for example cp1251, where it is not found out",
    )
    return parser.parse_args(argv)


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE=FILE")
    return text

"""A CSV file: its encoding, delimiter and header, and its rows."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from app.commands.import_csv.cleaning import Clean, cleaner
from app.commands.import_csv.encoding import find_encoding
from app.commands.import_csv.header import Header
from app.commands.import_csv.records import DELIMITERS, Record, Records, read_hint
from app.errors import InvalidInputError
from app.storage.imported import ImportTarget, Refused


@dataclass(frozen=True)
class CsvSource:
    """Where to read: a file that can be read more than once. `is_guessed`: another
    encoding with one byte a letter would have fitted as well.
    """

    file: BinaryIO
    encoding: str
    is_guessed: bool
    delimiter: str
    header: Header

    def rows(self, target: ImportTarget) -> Iterator[tuple[int, Sequence[str | None]]]:
        """(line, values) of each record, in the order of the target's columns.

        Raises InvalidInputError with the line that cannot be read.
        """
        positions = self.header.positions([column.name for column in target.columns])
        taken: list[tuple[int, str, Clean]] = [
            (
                positions[column.name],
                column.name,
                cleaner(column.type_name, self.delimiter),
            )
            for column in target.columns
        ]
        for record in self._records():
            fields = self.header.fields(record.fields, record.line)
            yield (
                record.line,
                [
                    _cleaned(record.line, name, clean, fields[place])
                    for place, name, clean in taken
                ],
            )

    def columns(self, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """(line, fields) of each record, of these columns as they are written; nothing
        for one that the file has not.
        """
        positions = self.header.positions(names)
        for record in self._records():
            fields = [*self.header.fields(record.fields, record.line), ""]
            places = (positions.get(name, -1) for name in names)
            yield record.line, [fields[place].strip() for place in places]

    def explain(self, refused: Refused) -> str:
        """A sentence with the line of the file, which is read again for it."""
        where = ""
        if refused.row is not None:
            for number, record in enumerate(self._records(), start=1):
                if number == refused.row:
                    where = f"Line {record.line}"
                    break
        if where and refused.column:
            where += f", column {refused.column}"
        reason = refused.reason.rstrip(".")
        return f"{where}: {reason}." if where else f"Postgres refused a row: {reason}."

    def _records(self) -> Iterator[Record]:
        records = _records(self.file, self.encoding, self.delimiter)
        next(records, None)  # the header line
        yield from records


def open_source(
    file: BinaryIO,
    needed: Sequence[str],
    *,
    encoding: str | None,
    renamed: Mapping[str, str],
) -> CsvSource:
    """Look at a file. Of the delimiters the one counts with which the header line names
    most of the columns that are `needed`, and then most columns.

    Raises InvalidInputError for a header line that cannot be read, and LookupError for
    an encoding that Python does not know.
    """
    found = encoding or find_encoding(file)
    with _text(file, found) as text:
        hint = read_hint(text)
    headers = [
        (delimiter, _header(file, found, delimiter, renamed))
        for delimiter in hint or DELIMITERS
    ]
    delimiter, header = max(
        headers, key=lambda h: (h[1].count(needed), len(h[1].names))
    )
    if not header.names:
        next(_records(file, found, delimiter), None)  # says why there is none
    header.check()
    is_guessed = encoding is None and found == "cp1252"
    return CsvSource(file, found, is_guessed, delimiter, header)


def _header(
    file: BinaryIO, encoding: str, delimiter: str, renamed: Mapping[str, str]
) -> Header:
    """The header that a delimiter gives; without names where it gives none."""
    try:
        first = next(_records(file, encoding, delimiter), None)
    except InvalidInputError:
        first = None
    return Header.of(first.fields if first else [], renamed)


def _records(file: BinaryIO, encoding: str, delimiter: str) -> Iterator[Record]:
    with _text(file, encoding) as text:
        first_line = 1 if read_hint(text) is None else 2
        yield from Records(text, delimiter, first_line=first_line)


@contextmanager
def _text(file: BinaryIO, encoding: str) -> Iterator[TextIO]:
    """The file from its start as text, its line ends as they are."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        yield text
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"The file is not {error.encoding}; save it as UTF-8, or name its encoding"
            " with --encoding."
        ) from None
    finally:
        text.detach()


def _cleaned(line: int, name: str, clean: Clean, field: str) -> str | None:
    try:
        return clean(field)
    except InvalidInputError as error:
        raise InvalidInputError(f"Line {line}, column {name}: {error}.") from None

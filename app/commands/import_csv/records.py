"""CSV as a strict parser reads it: each record with its line, or an error with it."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from app.errors import InvalidInputError

# A skills text may be a whole posting; the csv module stops at 128 KB.
csv.field_size_limit(1 << 30)

DELIMITERS = ",;\t|"
# What Excel writes into a first line for itself.
EXCEL_HINT = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """The fields of one record, and the line of the file where it begins."""

    line: int
    fields: list[str]


class Records:
    """Iterates over the records of a file that hold anything.

    Raises InvalidInputError, with the line, where a quote is not closed or stands
    where none may: from there on nobody can tell fields from text.
    """

    def __init__(self, file: TextIO, delimiter: str, *, first_line: int = 1) -> None:
        self._file = file
        self._delimiter = delimiter
        # The lines of the record that is being read.
        self._raw: list[str] = []
        self._line = first_line
        field = rf"(?: *\"[^\"]*(?:\"\"[^\"]*)*\"|[^\"{re.escape(delimiter)}\r\n]*)"
        self._sound = re.compile(rf"{field}(?:{re.escape(delimiter)}{field})*[\r\n]*")

    def __iter__(self) -> Iterator[Record]:
        rows = csv.reader(
            self._lines(), delimiter=self._delimiter, strict=True, skipinitialspace=True
        )
        while True:
            begins_at = self._line
            self._raw.clear()
            try:
                fields = next(rows, None)
            except csv.Error as error:
                raise _refusal(begins_at, str(error)) from None
            if fields is None:
                return
            self._check(begins_at)
            if any(map(str.strip, fields)):
                yield Record(begins_at, fields)

    def _lines(self) -> Iterator[str]:
        for line in self._file:
            self._raw.append(line)
            self._line += 1
            yield line

    def _check(self, begins_at: int) -> None:
        raw = "".join(self._raw)
        if '"' in raw and not self._sound.fullmatch(raw):
            raise InvalidInputError(
                f"Line {begins_at} has a quote inside a field that is not in quotes;"
                ' put the field into quotes, and write each " in it twice.'
            )
        if "\0" in raw:
            raise InvalidInputError(
                f"Line {begins_at} holds a zero byte, which Postgres cannot store."
            )


def _refusal(begins_at: int, reason: str) -> InvalidInputError:
    if "unexpected end" in reason:
        return InvalidInputError(
            f"The record that begins in line {begins_at} has a quote that is never"
            " closed: the file was cut off, or a quote is missing there."
        )
    return InvalidInputError(
        f"Line {begins_at} is no CSV ({reason}); a quote inside a field is written"
        " twice."
    )


def read_hint(file: TextIO) -> str | None:
    """The delimiter that a first line "sep=;" names; any other line is put back."""
    first = file.readline(64)
    if hint := EXCEL_HINT.fullmatch(first):
        return hint[1]
    file.seek(0)
    return None

"""The header line: which field of a record belongs to which column of the table."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import InvalidInputError

NO_SIGN = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Header:
    """`names` of the fields; "" for one without, as the index that pandas writes."""

    names: Sequence[str]

    @classmethod
    def of(cls, fields: Sequence[str], renamed: Mapping[str, str]) -> "Header":
        """`renamed`: names of the table by names in the file."""
        names = [name.strip().lstrip("\ufeff") for name in fields]
        by_key = {_key(name): column for name, column in renamed.items()}
        return cls([renamed.get(n, by_key.get(_key(n), n)) for n in names])

    def positions(self, columns: Sequence[str]) -> dict[str, int]:
        """Of the table's columns those that the file has, each with its field.

        Capitals, spaces and signs do not matter: "Job ID" is job_id.
        """
        found = {}
        for column in columns:
            places = self._places(column)
            if len(places) > 1:
                twice = " and ".join(f'"{self.names[place]}"' for place in places)
                raise InvalidInputError(
                    f"The file's header line names a column twice: {twice} are both"
                    f" {column}; rename one of them."
                )
            if places:
                found[column] = places[0]
        return found

    def count(self, columns: Sequence[str]) -> int:
        """How many of these columns the header line names."""
        return sum(bool(self._places(column)) for column in columns)

    def _places(self, column: str) -> list[int]:
        exact = [place for place, name in enumerate(self.names) if name == column]
        key = _key(column)
        return exact or [
            place for place, name in enumerate(self.names) if _key(name) == key
        ]

    def others(self, positions: Mapping[str, int]) -> list[str]:
        """The names that belong to no column."""
        taken = set(positions.values())
        return [n for place, n in enumerate(self.names) if n and place not in taken]

    def check(self) -> None:
        """Raises InvalidInputError where two fields have one name."""
        for name, count in Counter(filter(None, self.names)).items():
            if count > 1:
                raise InvalidInputError(
                    f'The file\'s header line names a column twice: "{name}".'
                )

    def fields(self, fields: Sequence[str], line: int) -> Sequence[str]:
        """The fields of a record, one for each name. Empty ones at the end may lack,
        or be too many, where the header line has no name for them.
        """
        width = len(self.names)
        if len(fields) > width and any(map(str.strip, fields[width:])):
            raise InvalidInputError(
                f"Line {line} has {len(fields)} fields, and the header line names"
                f" {width}; is a text that holds the delimiter not in quotes?"
            )
        if len(fields) < width and any(self.names[len(fields) :]):
            raise InvalidInputError(
                f"Line {line} has {len(fields)} fields, and the header line names"
                f" {width}; was the line cut off?"
            )
        return fields


def _key(name: str) -> str:
    return NO_SIGN.sub("", name.casefold())

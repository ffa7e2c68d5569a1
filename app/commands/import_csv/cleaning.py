"""A field of the file to a value of the table, as spreadsheets and pandas write it."""

import re
from collections.abc import Callable

from app.errors import InvalidInputError
from app.query.ids import INTEGER_TYPES

Clean = Callable[[str], str | None]

# "There is none", in the words of pandas, Excel, Python, SQL and people.
NO_VALUE = frozenset(
    {"", "nan", "n/a", "#n/a", "n.a.", "none", "null", "nil", "<na>", "-", "–", "—"}  # noqa: RUF001
)
NUMBER_TYPES = INTEGER_TYPES | {"numeric", "real", "double precision"}
TEXTS = ("text", "character varying", "character", "citext")
# A whole number that a spreadsheet has shown, or pandas has kept, as a float.
WHOLE = re.compile(r"([+-]?\d+)[.,]0+")
ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def cleaner(type_name: str, delimiter: str) -> Clean:
    """What makes fields values of this type; None stands for NULL.

    A comma is the decimal one where fields are not separated by commas.
    """
    if type_name in INTEGER_TYPES:
        return _integer
    if type_name in NUMBER_TYPES and delimiter != ",":
        return _number_with_comma
    return _text if type_name.endswith(TEXTS) else _other


def _text(field: str) -> str | None:
    return None if field.strip().casefold() in NO_VALUE else field


def _other(field: str) -> str | None:
    value = field.strip()
    return None if value.casefold() in NO_VALUE else value


def _integer(field: str) -> str | None:
    value = _other(field)
    if value is None:
        return None
    if ROUNDED.fullmatch(value):
        raise InvalidInputError(
            f"{value} is a whole number that a spreadsheet has rounded; show the column"
            " as a number without decimals, and save the file again"
        )
    whole = WHOLE.fullmatch(value)
    return whole[1] if whole else value


def _number_with_comma(field: str) -> str | None:
    value = _other(field)
    if value is not None and DECIMAL_COMMA.fullmatch(value):
        return value.replace(",", ".")
    return value

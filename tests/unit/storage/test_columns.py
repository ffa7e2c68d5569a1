"""Columns in responses and in SELECT lists."""

from typing import Any

import pytest

from app.storage.columns import JobColumn, public
from app.storage.conditions import selected
from tests.support.statements import written


@pytest.mark.parametrize(
    ("sql_type", "value", "shown"),
    [
        ("text", "a", "a"),
        ("text", None, None),
        ("boolean", True, True),
        ("date", "infinity", "infinity"),
        ("integer", 5, 5),
        ("bigint", 2**53 - 1, 2**53 - 1),
        ("bigint", -(2**53), "-9007199254740992"),
        ("double precision", 0.5, 0.5),
        ("double precision", 5.0, 5),
        ("double precision", 2.0**53, 2**53),
        ("double precision", 2.0**53 + 2, 2.0**53 + 2),
        ("double precision", -1e300, -1e300),
        ("real", "NaN", None),
        ("numeric", None, None),
        ("numeric", "NaN", None),
        ("numeric", "-Infinity", None),
        ("numeric", "1" + "0" * 400, None),  # a float cannot hold it
        ("numeric", "50000", 50000),
        ("numeric", "50000.00", 50000),
        ("numeric", "-0.10", -0.1),
        # To the last digit, where a float would lose it.
        ("numeric", "9007199254740993", "9007199254740993"),
        ("numeric", "-9007199254740993.000", "-9007199254740993"),
        ("numeric", "9007199254740993.5", 9007199254740994.0),
    ],
)
def test_a_value_is_shown_as_json_can_hold_it(
    sql_type: str, value: object, shown: Any
) -> None:
    found = JobColumn("any", sql_type).public(value)
    assert found == shown
    assert type(found) is type(shown)


def test_the_values_of_a_row_go_by_the_names_of_their_columns() -> None:
    columns = [JobColumn("rating", "numeric"), JobColumn("city", "text")]
    assert public(columns, ["4.50", "Bern"]) == {"rating": 4.5, "city": "Bern"}
    assert public([], []) is None
    with pytest.raises(ValueError, match="shorter"):
        public(columns, ["4.50"])


def test_a_value_is_selected_as_the_type_that_is_shown() -> None:
    columns = [
        JobColumn("rating", "numeric"),
        JobColumn("from", "character varying"),
        JobColumn("salary", "smallint"),
    ]
    assert written(selected(columns)) == (
        ', to_json("rating"::text), to_json("from"::text), to_json("salary"::bigint)',
        [],
    )
    posted = JobColumn("posted", "date")
    assert written(selected([posted])) == (', to_json("posted"::date)', [])

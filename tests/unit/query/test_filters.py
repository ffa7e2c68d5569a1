"""Parsing of filters: the normal form, and refusals."""

import pytest

from app.errors import InvalidInputError
from app.query.constraints import AnyOf, Range
from app.query.filters import read_filters
from app.query.query import BatchKey

COLUMNS = ["location", "salary"]


def test_a_value_is_equality_a_list_any_of_and_an_object_a_range() -> None:
    given = {"salary": {"lt": 9, "gte": 1.5}, "location": ["b", "a", None]}
    assert read_filters(given, columns=COLUMNS) == (
        AnyOf("location", (None, "a", "b")),
        Range("salary", (("gte", 1.5), ("lt", 9))),
    )
    assert read_filters({"location": None}, columns=COLUMNS) == (
        AnyOf("location", (None,)),
    )
    assert read_filters({"location": []}, columns=COLUMNS) == (AnyOf("location", ()),)
    assert read_filters({}, columns=[]) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"location": "a", "salary": 1}, {"salary": 1, "location": "a"}),
        ({"location": "a"}, {"location": ["a", "a"]}),
        ({"location": ["a", "b"]}, {"location": ["b", "a", "b"]}),
        ({"salary": {"gte": 1, "lte": 2}}, {"salary": {"lte": 2, "gte": 1}}),
    ],
)
def test_equal_filters_share_a_scan_however_they_are_written(
    one: dict[str, object], other: dict[str, object]
) -> None:
    keys = {
        BatchKey(filters=read_filters(given, columns=COLUMNS)) for given in (one, other)
    }
    assert len(keys) == 1


NOT_VALID = "The request is not valid: filters"
NO_VALUE = '.salary should be a value, a list of values, or bounds such as {"gte": 1}.'
NO_BOUNDS = ".salary needs bounds among gt, gte, lt, lte."


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"secret": 1}, " names an unknown column; the columns are location, salary."),
        ({"salary": {}}, NO_BOUNDS),
        ({"salary": {"min": 1}}, NO_BOUNDS),
        ({"salary": {"gte": None}}, NO_VALUE),
        ({"salary": {"gte": [1]}}, NO_VALUE),
        ({"salary": [[1]]}, NO_VALUE),
        ({"salary": [{"gte": 1}]}, NO_VALUE),
        (
            {"salary": list(range(1001))},
            ".salary has 1001 values; the maximum is 1000.",
        ),
    ],
)
def test_another_shape_is_refused(given: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        read_filters(given, columns=COLUMNS)
    assert str(raised.value) == NOT_VALID + reason


def test_without_columns_there_is_nothing_to_filter_on() -> None:
    with pytest.raises(InvalidInputError) as raised:
        read_filters({"location": "a"}, columns=[])
    assert str(raised.value) == (
        NOT_VALID + " is not available, because JOB_COLUMNS names no columns."
    )


def test_a_thousand_values_are_the_maximum() -> None:
    (among,) = read_filters({"salary": list(range(1000))}, columns=COLUMNS)
    assert isinstance(among, AnyOf)
    assert len(among.values) == 1000


def test_conditions_are_equal_only_for_values_of_the_same_type() -> None:
    one = AnyOf("salary", (1,))
    assert one == AnyOf("salary", (1,))
    assert hash(one) == hash(AnyOf("salary", (1,)))
    others: list[object] = [
        AnyOf("salary", (True,)),
        AnyOf("salary", (1.0,)),
        AnyOf("salary", ("1",)),
        AnyOf("location", (1,)),
        Range("salary", (("gte", 1),)),
        "salary",
        None,
    ]
    for other in others:
        assert one != other
        assert hash(one) != hash(other)

"""Filters as SQL: what is written, and what is refused."""

import time

import pytest

from app.errors import InvalidInputError, SchemaError
from app.query.constraints import AnyOf, Condition, Range, Scalar, Unexpired
from app.query.query import BatchKey
from app.storage.columns import JobColumn, filterable_columns
from app.storage.conditions import where_clause
from tests.support.statements import written

COLUMNS = [
    JobColumn("location", "character varying"),
    JobColumn("salary", "integer"),
    JobColumn("rating", "numeric"),
    JobColumn("weight", "real"),
    JobColumn("remote", "boolean"),
    JobColumn("posted", "date"),
    JobColumn("seen", "timestamp with time zone"),
    JobColumn("changed", "timestamp without time zone"),
    JobColumn("company", "uuid"),
]


def sql(*filters: Condition) -> tuple[str, list[object]]:
    return written(where_clause(filters, COLUMNS))


def test_no_filters_are_no_conditions() -> None:
    assert sql() == ("", [])


def test_each_filter_is_one_more_condition_with_its_values_as_literals() -> None:
    statement, literals = sql(
        AnyOf("location", ("Berlin", "a'; DROP TABLE users; --")),
        Range("salary", (("gte", 50_000), ("lt", 90_000))),
    )
    assert statement == (
        ' AND "location" = ANY ($1::text[])'
        ' AND "salary" >= $2::bigint AND "salary" < $3::bigint'
    )
    assert literals == [["Berlin", "a'; DROP TABLE users; --"], "50000", "90000"]


def test_null_is_one_of_the_values_that_a_column_may_hold() -> None:
    assert sql(AnyOf("remote", (True, None))) == (
        ' AND ("remote" = ANY ($1::boolean[]) OR "remote" IS NULL)',
        [["True"]],
    )


@pytest.mark.parametrize(
    ("column", "value", "literal"),
    [
        ("salary", "41", "41"),  # integers beyond JavaScript's come as text
        ("salary", "-9223372036854775808", "-9223372036854775808"),
        ("rating", "9007199254740993", "9007199254740993"),
        ("salary", 41.0, "41"),  # JSON has one kind of number
        ("salary", -(2**63), str(-(2**63))),
        ("rating", 10**300, str(10**300)),  # kept to the last digit
        ("rating", 0.1, "0.1"),
        ("weight", 0.1, "0.10000000149011612"),  # as the column holds it
        ("weight", 1e-300, "0.0"),  # which real itself would refuse
        ("posted", "2026-02-28", "2026-02-28"),
        ("seen", "2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("seen", "2026-01-31t12:00z", "2026-01-31T12:00:00+00:00"),
        ("seen", "2026-01-31 12:00:00.1234567", "2026-01-31T12:00:00.123456+00:00"),
        # Offsets that Postgres itself would refuse.
        ("seen", "2026-01-31T12:00:00+23:59", "2026-01-30T12:01:00+00:00"),
        ("changed", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00"),
        ("location", "100 %s of {} it\\", "100 %s of {} it\\"),
        ("company", "{12345678-1234-5678-1234-567812345678}",
         "12345678-1234-5678-1234-567812345678"),
    ],
)  # fmt: skip
def test_a_value_is_written_so_that_postgres_reads_it(
    column: str, value: Scalar, literal: str
) -> None:
    assert sql(AnyOf(column, (value,)))[1] == [[literal]]


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        ("location", 5, "text without null characters"),
        ("location", "a\x00b", "text without null characters"),
        ("location", "\ud800", "text without null characters"),
        ("salary", "5.0", "an integer of 64 bits"),
        ("salary", " 5", "an integer of 64 bits"),  # which int() would read
        ("salary", "5_000", "an integer of 64 bits"),
        ("salary", "9223372036854775808", "an integer of 64 bits"),
        ("salary", True, "an integer of 64 bits"),
        ("salary", 5.5, "an integer of 64 bits"),
        ("salary", 2**63, "an integer of 64 bits"),
        ("salary", 1e300, "an integer of 64 bits"),
        ("rating", float("nan"), "a finite number"),
        ("rating", float("inf"), "a finite number"),
        ("rating", 10**400, "a finite number"),
        ("rating", "5.0", "a finite number"),
        ("weight", 1e39, "a finite number"),
        ("remote", 1, "true or false"),
        ("remote", "true", "true or false"),
        ("posted", "2026-02-30", "a date, for example 2026-01-31"),
        ("posted", "20260228", "a date, for example 2026-01-31"),
        ("posted", "infinity", "a date, for example 2026-01-31"),
        ("posted", "0000-01-01", "a date, for example 2026-01-31"),
        ("posted", "\uff12026-01-01", "a date, for example 2026-01-31"),
        ("posted", 20260228, "a date, for example 2026-01-31"),
        ("seen", "now", "a timestamp, for example 2026-01-31T12:00:00Z"),
        ("seen", "0001-01-01T00:00+01:00",
         "a timestamp, for example 2026-01-31T12:00:00Z"),
        ("seen", "2026-01-31T12:00:60Z",
         "a timestamp, for example 2026-01-31T12:00:00Z"),
        ("company", "acme", "a UUID"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_the_name_of_the_column(
    column: str, value: Scalar, wanted: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        sql(AnyOf(column, (value,)))
    assert str(raised.value) == (
        f"The request is not valid: filters.{column} should be {wanted}."
    )


@pytest.mark.parametrize("column", ["location", "remote", "company"])
def test_only_what_has_an_order_has_ranges(column: str) -> None:
    kind = {"remote": "boolean"}.get(column, "text")
    with pytest.raises(InvalidInputError) as raised:
        sql(Range(column, (("gte", "a"),)))
    assert str(raised.value) == (
        f"The request is not valid: filters.{column} can be one value or a list; a"
        f" {kind} column has no ranges."
    )


def test_an_unknown_column_is_not_echoed() -> None:
    with pytest.raises(InvalidInputError) as raised:
        sql(AnyOf("secret", (1,)))
    assert "secret" not in str(raised.value)
    assert "location, salary" in str(raised.value)


def test_a_column_that_is_absent_or_of_another_kind_is_named() -> None:
    types = {"salary": "integer", "vector": "vector"}
    assert filterable_columns(types, ["salary"]) == (JobColumn("salary", "integer"),)
    for name, reason in (
        (
            "town",
            (
                "which the table skill_job1 does not have; correct the setting or add"
                " the column."
            ),
        ),
        (
            "vector",
            (
                "whose type vector cannot be offered; it may be text, a number,"
                " boolean, a date, a timestamp or a UUID."
            ),
        ),
    ):
        with pytest.raises(SchemaError) as raised:
            filterable_columns(types, ["salary", name])
        assert str(raised.value) == f"JOB_COLUMNS names the column {name}, {reason}"


def test_the_columns_are_those_of_the_setting_in_its_order() -> None:
    types = {"salary": "integer", "city": "text", "posted": "date"}
    assert filterable_columns(types, ["posted", "salary"]) == (
        JobColumn("posted", "date"),
        JobColumn("salary", "integer"),
    )


def test_values_that_python_takes_for_equal_do_not_share_a_scan() -> None:
    keys = {BatchKey(filters=(AnyOf("remote", (value,)),)) for value in (1, True, 1.0)}
    assert len(keys) == 3


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_timestamp_without_an_offset_is_utc_wherever_the_service_runs(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for column, offset in (("seen", "+00:00"), ("changed", "")):
            for value, hour in (("T12:00", 12), ("T12:00+02:00", 10)):
                _, literals = sql(AnyOf(column, (f"2026-01-31{value}",)))
                assert literals == [[f"2026-01-31T{hour}:00:00{offset}"]]
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize(
    ("column", "moment"),
    [
        ("posted", ">= (now() AT TIME ZONE 'utc')::date"),
        ("seen", "> now()"),
        ("changed", "> now() AT TIME ZONE 'utc'"),
    ],
)
def test_a_date_that_has_passed_is_compared_in_utc(column: str, moment: str) -> None:
    statement, literals = sql(Unexpired(column))
    assert statement == f' AND ("{column}" IS NULL OR "{column}" {moment})'
    assert literals == []


def test_only_dates_expire() -> None:
    with pytest.raises(InvalidInputError) as raised:
        sql(Unexpired("salary"))
    assert str(raised.value) == (
        "The request is not valid: expires needs a column of dates, and salary has the"
        " type integer."
    )

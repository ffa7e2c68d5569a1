"""Random columns of jobs, filters on them, and the expected matches."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

NAMES = "location,salary,rating,remote,posted,seen"
TYPES = (
    "location varchar(40), salary integer, rating double precision, remote boolean,"
    " posted date, seen timestamptz"
)
# Some are hostile to SQL, to JSON or to the eye.
PLACES = [
    "Berlin", "berlin", "Paris", "Łódź", "O'Fallon", "100 % remote", "%s",
    "'); DROP TABLE users; --", 'say "hi"', "back\\slash", "{location}", "", "東京",
]  # fmt: skip
DAY = date(2026, 1, 1)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


def made_rows(count: int, *, seed: int) -> list[Row]:
    """The columns of `count` jobs; each is null sometimes."""
    rng = random.Random(seed)

    def sometimes(value: Any) -> Any:
        return None if rng.random() < 0.1 else value

    return [
        {
            "location": sometimes(rng.choice(PLACES)),
            "salary": sometimes(rng.randrange(30, 120) * 1000),
            "rating": sometimes(rng.randrange(50) / 10),
            "remote": sometimes(rng.random() < 0.3),
            "posted": sometimes(DAY + timedelta(days=rng.randrange(90))),
            "seen": sometimes(MOMENT + timedelta(minutes=rng.randrange(100_000))),
        }
        for _ in range(count)
    ]


def add_columns(url: str, rows: Mapping[Any, Row]) -> None:
    """Set these values on the jobs with these ids."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        added = ", ".join(f"ADD {column}" for column in TYPES.split(", "))
        cursor.execute(f"ALTER TABLE skill_job1 {added}")
        names = NAMES.split(",")
        pairs = ", ".join(f"{name} = new.{name}" for name in names)
        execute_values(
            cursor,
            f"UPDATE skill_job1 AS job SET {pairs} FROM (VALUES %s)"
            f" AS new (id, {NAMES}) WHERE job.job_id = new.id",
            [[id_, *(row[name] for name in names)] for id_, row in rows.items()],
            template="(%s, %s, %s::int, %s::float8, %s::bool, %s::date,"
            " %s::timestamptz)",
        )
    connection.close()


def made_filters(rng: random.Random, rows: Sequence[Row]) -> dict[str, Any]:
    """Filters of a request: one to three columns, mostly with values that occur."""
    names = rng.sample(NAMES.split(","), rng.randint(1, 3))
    return {name: _made_filter(rng, name, rows) for name in names}


def _made_filter(rng: random.Random, name: str, rows: Sequence[Row]) -> Any:
    def value() -> Any:
        return as_json(rng.choice(rows)[name])

    shape = rng.choice(["one", "some", "range", "range"])
    if shape == "range" and name not in ("location", "remote"):
        found = [v for v in (value(), value()) if v is not None] or [as_json_of(name)]
        if len(found) == 1:
            return {rng.choice(["gt", "gte", "lt", "lte"]): found[0]}
        low, high = sorted(found)
        return {rng.choice(["gt", "gte"]): low, rng.choice(["lt", "lte"]): high}
    if shape == "one":
        return value()
    return [value() for _ in range(rng.randint(0, 6))]


def as_json(value: Any) -> Any:
    """The JSON form of a value."""
    return value.isoformat() if isinstance(value, date) else value


def as_json_of(name: str) -> Any:
    """The JSON form of any value of the column."""
    row = made_rows(1, seed=0)[0] | {"posted": DAY, "seen": MOMENT}
    numbers = {"salary": 50_000, "rating": 2.5}
    return numbers.get(name, as_json(row[name]))


OPERATIONS = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def matches(filters: Mapping[str, Any], row: Row) -> bool:
    """The filters in Python. ISO dates of one time zone sort like their times."""
    return all(_matches(wanted, as_json(row[name])) for name, wanted in filters.items())


def _matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        return value is not None and all(
            OPERATIONS[bound](value, limit) for bound, limit in wanted.items()
        )
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)

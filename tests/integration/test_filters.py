"""Filters, constraints and columns over a real database, in both rankings."""

import random
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.errors import InvalidInputError, SchemaError
from app.query import cursor
from app.query.constraints import NO_CONSTRAINTS, Condition, Constraints
from app.query.filters import read_filters
from app.query.result import Hit, Result
from app.ranking.registry import RANKINGS
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from tests.support.columns import (
    NAMES,
    add_columns,
    as_json,
    made_filters,
    made_rows,
    matches,
)
from tests.support.encoders import BlendEncoder, HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import add_job, add_jobs
from tests.support.skills import fill

JOBS = 150
COLUMNS = NAMES.split(",")
SKILLS = ["python", "sql", "welding", "nursing", "baking", "driving", "teaching"]


class Asked(NamedTuple):
    """The filters and constraints of one query."""

    filters: tuple[Condition, ...] = ()
    constraints: Constraints = NO_CONSTRAINTS


class RankingUnderTest:
    """A ranking of the registry; results are (id, score) with their columns."""

    def __init__(self, database: Database, name: str, folder: Path) -> None:
        self.name = name
        encoder = BlendEncoder()
        if name == "skills":
            fill(database, encoder)
        self._ranking = ranking_over(
            database, encoder, name=name, folder=folder, job_columns=COLUMNS
        )

    def ask(self, *asked: Asked, top_n: int = JOBS) -> list[Result]:
        queries = [
            profile_query(
                top_n,
                text="python, sql",
                ranking=self.name,
                filters=each.filters,
                constraints=each.constraints,
            )
            for each in asked
        ]
        return results(rank(self._ranking, queries))

    def rows(self, result: Result) -> list[tuple[Any, float, Any]]:
        return [(hit.id, _score(hit), hit.columns) for hit in result.hits]


def _score(hit: Hit) -> float:
    if hit.match_score is not None:
        return hit.match_score
    assert hit.similarity_score is not None
    return hit.similarity_score


@pytest.fixture(params=list(RANKINGS))
def ranking(
    request: pytest.FixtureRequest,
    database: Database,
    database_url: str,
    tmp_path: Path,
) -> RankingUnderTest:
    """150 jobs with up to three of seven skills: many equal scores."""
    rng = random.Random(1)
    texts = {
        number: ", ".join(rng.sample(SKILLS, rng.randint(1, 3)))
        for number in range(1, JOBS + 1)
    }
    vectors = BlendEncoder().encode([*texts.values()])
    add_jobs(database_url, texts, embeddings=[vector.tobytes() for vector in vectors])
    add_columns(database_url, ROWS)
    return RankingUnderTest(database, request.param, tmp_path)


ROWS = dict(enumerate(made_rows(JOBS, seed=2), start=1))


def asked(given: dict[str, Any] | None = None, **constraints: Any) -> Asked:
    filters = read_filters(given or {}, columns=COLUMNS)
    return Asked(filters, Constraints(**constraints))


def test_every_filter_only_removes_rows_that_do_not_match(
    ranking: RankingUnderTest,
) -> None:
    (whole,) = ranking.ask(asked())
    everything = ranking.rows(whole)
    rng = random.Random(3)
    for _ in range(60):
        given = made_filters(rng, list(ROWS.values()))
        wanted = [row for row in everything if matches(given, ROWS[row[0]])]
        short, found = (
            ranking.ask(asked(given), asked(given), top_n=7)[0],
            ranking.ask(asked(given))[0],
        )
        assert ranking.rows(found) == wanted, given
        assert ranking.rows(short) == wanted[:7], given
        assert (short.next_cursor is None) == (len(wanted) <= 7)


def test_the_columns_come_with_each_job_as_json(ranking: RankingUnderTest) -> None:
    (whole,) = ranking.ask(asked())
    for id_, _, columns in ranking.rows(whole):
        expected = {name: as_json(value) for name, value in ROWS[id_].items()}
        assert columns == expected
        assert list(columns) == COLUMNS


def test_pages_after_one_another_are_the_whole_answer(
    ranking: RankingUnderTest,
) -> None:
    rng = random.Random(4)
    for size in (1, 7, 50, JOBS - 1, JOBS, JOBS + 1):
        given = rng.choice([{}, made_filters(rng, list(ROWS.values()))])
        (whole,) = ranking.ask(asked(given))
        pages: list[Any] = []
        after = None
        while True:
            (page,) = ranking.ask(asked(given, after=after), top_n=size)
            pages += ranking.rows(page)
            if page.next_cursor is None:
                break
            after = cursor.from_text(page.next_cursor)
        assert pages == ranking.rows(whole)


def test_jobs_inserted_between_pages_cause_neither_gaps_nor_duplicates(
    ranking: RankingUnderTest, database: Database, database_url: str
) -> None:
    (whole,) = ranking.ask(asked())
    rng = random.Random(5)
    seen: list[Any] = []
    after = None
    number = 10_000
    while True:
        (page,) = ranking.ask(asked(after=after), top_n=9)
        seen += [row[0] for row in ranking.rows(page)]
        if page.next_cursor is None:
            break
        after = cursor.from_text(page.next_cursor)
        for id_ in (-number, number):
            text = ", ".join(rng.sample(SKILLS, rng.randint(1, 3)))
            vector = BlendEncoder().encode([text])[0]
            add_job(database_url, id_, text, embedding=vector.tobytes())
        number += 1
        if ranking.name == "skills":
            fill(database, BlendEncoder())
    assert len(seen) == len(set(seen))
    assert [id_ for id_ in seen if id_ in ROWS] == [
        row[0] for row in ranking.rows(whole)
    ]


def test_excluded_jobs_and_low_scores_leave_the_others_as_they_are(
    ranking: RankingUnderTest,
) -> None:
    (whole,) = ranking.ask(asked())
    everything = ranking.rows(whole)
    excluded = frozenset(row[0] for row in everything[:20:2])
    least = everything[30][1]
    one, other, both = ranking.ask(
        asked(exclude=excluded | {"no such job", 2**63}),
        asked(min_score=least),
        asked(exclude=excluded, min_score=least),
        top_n=40,
    )
    left = [row for row in everything if row[0] not in excluded]
    enough = [row for row in everything if row[1] >= least]
    assert ranking.rows(one) == left[:40]
    assert ranking.rows(other) == enough[:40]
    assert ranking.rows(both) == [row for row in enough if row in left][:40]


def test_a_cursor_is_valid_for_its_own_query_only(ranking: RankingUnderTest) -> None:
    (page,) = ranking.ask(asked(), top_n=5)
    after = cursor.from_text(page.next_cursor or "")
    ranking.ask(asked(after=after, min_score=0.1, exclude=frozenset({3})), top_n=9)
    with pytest.raises(InvalidInputError, match="belongs to another query"):
        ranking.ask(asked({"remote": True}, after=after))


def test_a_filter_of_another_type_fails_with_the_name_of_its_column_before_the_scan(
    ranking: RankingUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking.ask(asked({"salary": 1}))  # reads the vocabulary
    scans: list[object] = []
    monkeypatch.setattr(Transaction, "copy_out", lambda *args: scans.append(args))
    with pytest.raises(
        InvalidInputError, match=r"filters\.salary should be an integer"
    ):
        ranking.ask(asked({"salary": "high"}))
    assert scans == []


@pytest.mark.parametrize("name", RANKINGS)
def test_a_filter_is_checked_also_where_no_user_is_found(
    database: Database, database_url: str, tmp_path: Path, name: str
) -> None:
    run(database_url, "ALTER TABLE skill_job1 ADD remote boolean")
    ranking = ranking_over(
        database, HashEncoder(), name=name, folder=tmp_path, job_columns=["remote"]
    )
    query = profile_query(
        3,
        user_id=99,
        ranking=name,
        filters=read_filters({"remote": 469394}, columns=["remote"]),
    )
    with pytest.raises(InvalidInputError, match=r"filters\.remote"):
        rank(ranking, [query])


def test_a_column_that_is_dropped_is_named_until_it_is_back(
    ranking: RankingUnderTest, database_url: str
) -> None:
    ranking.ask(asked({"remote": True}))
    run(database_url, "ALTER TABLE skill_job1 DROP remote")
    for given in ({"remote": True}, {}):
        with pytest.raises(SchemaError, match="names the column remote, which the"):
            ranking.ask(asked(given))
    run(database_url, "ALTER TABLE skill_job1 ADD remote text")
    ranking.ask(asked({"remote": "yes"}))
    with pytest.raises(InvalidInputError, match=r"filters\.remote should be text"):
        ranking.ask(asked({"remote": True}))


VALUES = [
    ("text", "'x'", "x", "x"),
    ("char(5)", "'x'", "x", "x"),
    ("uuid", "'12345678-1234-5678-1234-567812345678'",
     "12345678-1234-5678-1234-567812345678", "12345678123456781234567812345678"),
    ("smallint", "-3", -3, -3),
    ("bigint", str(2**62), str(2**62), 2**62),
    ("numeric", "12.50", 12.5, 12.5),
    ("numeric", "'NaN'", None, None),
    ("numeric", "1e400", None, None),
    ("numeric", "1e5000", None, None),
    ("numeric", "7", 7, 7),
    ("real", "0.1", 0.1, 0.1),
    ("double precision", "'-Infinity'", None, None),
    ("boolean", "false", False, False),
    ("date", "'0044-03-15 BC'", "0044-03-15 BC", None),
    ("date", "'infinity'", "infinity", None),
    ("timestamp", "'2026-01-01 12:30'", "2026-01-01T12:30:00",
     "2026-01-01T14:30+02:00"),
    ("timestamptz", "'2026-01-01 12:30+02'", "2026-01-01T10:30:00+00:00",
     "2026-01-01T10:30Z"),
    ("text", "NULL", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("sql_type", "stored", "shown", "wanted"), VALUES)
def test_every_type_is_shown_and_found(
    database: Database,
    database_url: str,
    *,
    sql_type: str,
    stored: str,
    shown: object,
    wanted: object,
) -> None:
    run(
        database_url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L',"
        " current_database(), 'Asia/Kolkata'); END $$",
    )
    add_job(database_url, 1, "python")
    add_job(database_url, 2, "python")
    run(database_url, f'ALTER TABLE skill_job1 ADD "a B" {sql_type}')
    run(database_url, f'UPDATE skill_job1 SET "a B" = {stored} WHERE job_id = 1')
    ranking = ranking_over(database, HashEncoder(), job_columns=["a B"])

    def ask(given: dict[str, object]) -> list[tuple[object, object]]:
        filters = read_filters(given, columns=["a B"])
        query = profile_query(5, text="x", filters=filters)
        (result,) = results(rank(ranking, [query]))
        return [(hit.id, (hit.columns or {})["a B"]) for hit in result.hits]

    assert ask({}) == [(1, shown), (2, None)]
    if wanted is not None:
        assert ask({"a B": wanted}) == [(1, shown)]
        assert ask({"a B": [wanted, None]}) == [(1, shown), (2, None)]
    elif stored == "NULL":
        assert ask({"a B": None}) == [(1, None), (2, None)]
    assert ask({"a B": []}) == []

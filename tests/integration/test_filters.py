"""Filters, bounds and columns over a real database, in both rankings."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import AppError, InvalidInputError, SchemaError
from app.query import cursor
from app.query.constraints import Constraints
from app.query.filters import read_filters
from app.query.query import Question, SkillQuestion
from app.query.result import Answer, SkillAnswer
from app.ranking.retrieval.full_scan import StreamSearch
from app.ranking.similarity import Recommender
from app.ranking.skills.ranker import SkillRanker
from app.storage.connection.database import Database
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
from tests.support.rows import add_job
from tests.support.skills import fill

JOBS = 150
COLUMNS = NAMES.split(",")
SCOPE = BatchScope(Deadline.after(3600), lambda: False)
SKILLS = ["python", "sql", "welding", "nursing", "baking", "driving", "teaching"]


class Ranking:
    """One of the two rankings: whole answers as (id, score) with their columns."""

    def __init__(self, database: Database, kind: str, folder: Path) -> None:
        self.kind = kind
        encoder = BlendEncoder()
        if kind == "skills":
            fill(database, encoder)
            self.service: Any = SkillRanker(
                database, encoder, cache_folder=folder, job_columns=COLUMNS
            )
            self.question: Any = SkillQuestion
        else:
            search = StreamSearch(version=encoder.version, scan_chunk_rows=16)
            self.service = Recommender(database, encoder, search, job_columns=COLUMNS)
            self.question = Question

    def ask(self, *selections: Constraints, top_n: int = JOBS) -> Sequence[Any]:
        questions = [
            self.question(top_n, skills="python, sql", constraints=constraints)
            for constraints in selections
        ]
        outcomes: Sequence[Any] = self.service.answer_all(questions, SCOPE)
        for outcome in outcomes:
            if isinstance(outcome, AppError):
                raise outcome
        return outcomes

    def rows(self, answer: Any) -> list[tuple[Any, float, Any]]:
        if isinstance(answer, Answer):
            return [
                (job.job_id, job.similarity_score, job.columns)
                for job in answer.recommendations
            ]
        assert isinstance(answer, SkillAnswer)
        found = []
        for match in answer.matches:
            assert match.explanation is not None
            found.append((match.id, match.explanation.score, match.columns))
        return found


@pytest.fixture(params=["similarity", "skills"])
def ranking(
    request: pytest.FixtureRequest,
    database: Database,
    database_url: str,
    tmp_path: Path,
) -> Ranking:
    """150 jobs of up to three of seven skills: many score alike."""
    rng = random.Random(1)
    for number in range(1, JOBS + 1):
        text = ", ".join(rng.sample(SKILLS, rng.randint(1, 3)))
        vector = BlendEncoder().encode([text])[0]
        add_job(database_url, number, text, embedding=vector.tobytes())
    add_columns(database_url, ROWS)
    return Ranking(database, request.param, tmp_path)


ROWS = dict(enumerate(made_rows(JOBS, seed=2), start=1))


def constraints(given: dict[str, Any], **more: Any) -> Constraints:
    return Constraints(filters=read_filters(given, offered=COLUMNS), **more)


def test_every_filter_gives_the_whole_ranking_less_what_does_not_match(
    ranking: Ranking,
) -> None:
    (whole,) = ranking.ask(Constraints())
    everything = ranking.rows(whole)
    rng = random.Random(3)
    for _ in range(60):
        given = made_filters(rng, list(ROWS.values()))
        wanted = [row for row in everything if matches(given, ROWS[row[0]])]
        short, found = (
            ranking.ask(constraints(given), constraints(given), top_n=7)[0],
            ranking.ask(constraints(given))[0],
        )
        assert ranking.rows(found) == wanted, given
        assert ranking.rows(short) == wanted[:7], given
        assert (short.next_cursor is None) == (len(wanted) <= 7)


def test_the_columns_come_with_each_job_as_json(ranking: Ranking) -> None:
    (whole,) = ranking.ask(Constraints())
    for id_, _, columns in ranking.rows(whole):
        expected = {name: as_json(value) for name, value in ROWS[id_].items()}
        assert columns == expected
        assert list(columns) == COLUMNS


def test_pages_after_one_another_are_the_whole_answer(ranking: Ranking) -> None:
    rng = random.Random(4)
    for size in (1, 7, 50, JOBS - 1, JOBS, JOBS + 1):
        given = rng.choice([{}, made_filters(rng, list(ROWS.values()))])
        (whole,) = ranking.ask(constraints(given))
        pages: list[Any] = []
        after = None
        while True:
            (page,) = ranking.ask(constraints(given, after=after), top_n=size)
            pages += ranking.rows(page)
            if page.next_cursor is None:
                break
            after = cursor.from_text(page.next_cursor)
        assert pages == ranking.rows(whole)


def test_jobs_that_appear_meanwhile_make_neither_gaps_nor_duplicates(
    ranking: Ranking, database: Database, database_url: str
) -> None:
    (whole,) = ranking.ask(Constraints())
    rng = random.Random(5)
    seen: list[Any] = []
    after = None
    number = 10_000
    while True:
        (page,) = ranking.ask(Constraints(after=after), top_n=9)
        seen += [row[0] for row in ranking.rows(page)]
        if page.next_cursor is None:
            break
        after = cursor.from_text(page.next_cursor)
        for id_ in (-number, number):
            text = ", ".join(rng.sample(SKILLS, rng.randint(1, 3)))
            vector = BlendEncoder().encode([text])[0]
            add_job(database_url, id_, text, embedding=vector.tobytes())
        number += 1
        if ranking.kind == "skills":
            fill(database, BlendEncoder())
    assert len(seen) == len(set(seen))
    assert [id_ for id_ in seen if id_ in ROWS] == [
        row[0] for row in ranking.rows(whole)
    ]


def test_excluded_jobs_and_low_scores_leave_the_others_as_they_are(
    ranking: Ranking,
) -> None:
    (whole,) = ranking.ask(Constraints())
    everything = ranking.rows(whole)
    excluded = frozenset(row[0] for row in everything[:20:2])
    least = everything[30][1]
    one, other, both = ranking.ask(
        Constraints(exclude=excluded | {"no such job", 2**63}),
        Constraints(min_score=least),
        Constraints(exclude=excluded, min_score=least),
        top_n=40,
    )
    left = [row for row in everything if row[0] not in excluded]
    enough = [row for row in everything if row[1] >= least]
    assert ranking.rows(one) == left[:40]
    assert ranking.rows(other) == enough[:40]
    assert ranking.rows(both) == [row for row in enough if row in left][:40]


def test_a_cursor_belongs_to_its_question_alone(ranking: Ranking) -> None:
    (page,) = ranking.ask(Constraints(), top_n=5)
    after = cursor.from_text(page.next_cursor)
    ranking.ask(
        Constraints(after=after, min_score=0.1, exclude=frozenset({3})), top_n=9
    )
    with pytest.raises(InvalidInputError, match="belongs to another question"):
        ranking.ask(constraints({"remote": True}, after=after))


def test_a_filter_of_another_type_fails_with_the_name_of_its_column(
    ranking: Ranking,
) -> None:
    with pytest.raises(
        InvalidInputError, match=r"filters\.salary should be an integer"
    ):
        ranking.ask(constraints({"salary": "high"}))


def test_a_column_that_is_dropped_is_named_until_it_is_back(
    ranking: Ranking, database_url: str
) -> None:
    ranking.ask(constraints({"remote": True}))
    run(database_url, "ALTER TABLE skill_job1 DROP remote")
    for given in ({"remote": True}, {}):
        with pytest.raises(SchemaError, match="names the column remote, which the"):
            ranking.ask(constraints(given))
    run(database_url, "ALTER TABLE skill_job1 ADD remote text")
    ranking.ask(constraints({"remote": "yes"}))
    with pytest.raises(InvalidInputError, match=r"filters\.remote should be text"):
        ranking.ask(constraints({"remote": True}))


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
    search = StreamSearch(version="all-MiniLM-L6-v2", scan_chunk_rows=16)
    recommender = Recommender(database, HashEncoder(), search, job_columns=["a B"])

    def ask(given: dict[str, object]) -> list[tuple[object, object]]:
        filters = read_filters(given, offered=["a B"])
        question = Question(5, skills="x", constraints=Constraints(filters=filters))
        (answer,) = recommender.answer_all([question], SCOPE)
        assert isinstance(answer, Answer), answer
        return [
            (job.job_id, (job.columns or {})["a B"]) for job in answer.recommendations
        ]

    assert ask({}) == [(1, shown), (2, None)]
    if wanted is not None:
        assert ask({"a B": wanted}) == [(1, shown)]
        assert ask({"a B": [wanted, None]}) == [(1, shown), (2, None)]
    elif stored == "NULL":
        assert ask({"a B": None}) == [(1, None), (2, None)]
    assert ask({"a B": []}) == []

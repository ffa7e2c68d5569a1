"""Quick looks: what an answer shows comes along, and so does the COMMIT."""

import pytest

from app.deadline import Deadline
from app.errors import AppError
from app.query.query import Query
from app.query.result import Inconclusive, Outcome, Result
from app.ranking.base import Ranking
from app.ranking.retrieval.base import Retrieval
from app.ranking.retrieval.full_scan import FullScan
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.jobs import jobs_by_id
from tests.integration.pgvector.searching import (
    nearby,
    search,
    through_index,
)
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.ranking import rank, ranking_over
from tests.support.rows import VERSION

# A column may be called like one of the statement's own.
COLUMNS = ["level", "size", "since"]
TEXTS = "skills = E'a \"b\" \\\\ ü \\n ' || job_id, size = job_id / 7.0, since = now()"


@pytest.fixture
def columned(filled: Database, filled_url: str) -> Database:
    run(filled_url, "ALTER TABLE skill_job1 ADD size numeric, ADD since timestamptz")
    run(filled_url, "ALTER TABLE skill_job1 DISABLE TRIGGER USER")
    run(filled_url, f"UPDATE skill_job1 SET {TEXTS}")
    run(filled_url, "UPDATE skill_job1 SET skills = NULL WHERE job_id % 7 = 0")
    return filled


def shallow(*skills: str) -> list[Query]:
    return [profile_query(9, text=each, shallow=True) for each in skills]


def ranking(
    database: Database, backend: Retrieval, columns: list[str] = COLUMNS
) -> Ranking:
    return ranking_over(
        database, BlendEncoder(), retrieval=backend, job_columns=columns
    )


def test_what_comes_along_is_what_the_rows_hold(columned: Database) -> None:
    backend, queries = through_index(), nearby(6)
    questions = shallow(*"abcdef")
    for _ in range(2):  # the second look ends its transaction
        found = search(columned, backend, queries, questions, COLUMNS, with_texts=True)
        ids = {job.id for ranked in found.ranked for job in ranked}
        assert len(ids) > 40
        with columned.snapshot(Deadline.after(60)) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=COLUMNS)
            wanted = jobs_by_id(transaction, list(ids), catalogue=catalogue)
        assert found.jobs == wanted


def test_nothing_comes_along_where_nobody_shows_it(filled: Database) -> None:
    assert search(filled, through_index(), nearby(1), shallow("a")).jobs == {}


def test_a_quick_answer_is_the_answer_of_the_stream(
    columned: Database, filled_url: str
) -> None:
    run(
        filled_url,
        "INSERT INTO users (user_id, skills) SELECT n, 'any'"
        " FROM generate_series(1, 20) AS n",
    )
    run(
        filled_url,
        "UPDATE recommender.user_state SET embedding = vector, embedding_version = %s"
        " FROM unnest(%s::bytea[]) WITH ORDINALITY AS new (vector, n)"
        " WHERE user_id = n",
        (VERSION, [row.tobytes() for row in nearby(20)]),
    )
    stream = FullScan(version=VERSION, scan_chunk_rows=100)
    questions = [profile_query(9, user_id=n, shallow=True) for n in range(1, 21)]
    wanted = shown(rank(ranking(columned, stream), questions))
    ours = ranking(columned, through_index())
    for _ in range(3):
        found = shown(rank(ours, questions))
        # Those of the clusters with many equal texts take a longer search.
        assert [n for n, each in enumerate(found) if each is None] == [0, 10]
        assert [each or wanted[n] for n, each in enumerate(found)] == wanted


def shown(outcomes: list[Outcome]) -> list[object]:
    return [
        None
        if isinstance(each, Inconclusive)
        else (each.hits, each.analyzed, each.next_cursor)
        for each in map(_ranked, outcomes)
    ]


def _ranked(outcome: Outcome) -> Result | Inconclusive:
    assert not isinstance(outcome, AppError)
    return outcome


def test_a_row_that_lost_its_vector_is_missed_by_no_quick_look(
    filled: Database, filled_url: str
) -> None:
    # The first cluster holds many equal texts: its questions take a longer search.
    backend, queries, questions = through_index(), nearby(4)[1:], shallow(*"abc")
    before = search(filled, backend, queries, questions, with_texts=True)
    best = before.ranked[0][0].id
    run(
        filled_url,
        "UPDATE recommender.job_state SET has_vector = false WHERE job_id = %s",
        (best,),
    )
    # This look had ended its transaction when it saw that there is such a row …
    found = search(filled, backend, queries, questions, with_texts=True)
    assert list(found.inconclusive) == [0, 1, 2]
    # … and the next one reads it.
    again = search(filled, backend, queries, questions, with_texts=True)
    assert again.ranked == before.ranked
    assert not again.inconclusive


def test_an_error_is_none_of_a_neighbour(filled: Database) -> None:
    outcomes = rank(
        ranking(filled, through_index(), ["level"]),
        [profile_query(9, user_id=5, shallow=True), *shallow("w1")],
    )
    assert isinstance(outcomes[0], AppError)
    assert isinstance(outcomes[1], Result)

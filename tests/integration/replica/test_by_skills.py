"""Rankings by skills over a replica: the stream's answers, in two round trips."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.query.constraints import AnyOf, Constraints
from app.query.cursor import from_text
from app.query.query import Query
from app.query.variety import Variety
from app.ranking.base import Ranking
from app.storage.connection.database import Database
from tests.integration.replica.replicas import Exercise
from tests.integration.skills.test_hybrid import texts
from tests.integration.skills.test_ranking import insert
from tests.support.cluster import socket_of
from tests.support.encoders import BlendEncoder
from tests.support.postgres import run
from tests.support.proxy import running_proxy
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.skills import fill

JOBS = 150
MOST_BYTES = 5_000
NAMES = ["similarity", "skills", "hybrid"]
# What a request may ask for beside, or its user may have.
ADDITIONS = ["nothing", "feedback", "columns", "diversity", "all of them"]
PROSE = (
    "I have worked for six years with aword1 and aword2, then I led a team that"
    " built bword3 services. I would like to learn more about cword4 as well."
)


@pytest.fixture
def board(empty: Exercise) -> Exercise:
    """Jobs with skills, one without, and one whose id two rows have; and users."""
    jobs = texts(JOBS, seed=1) | {20_000: "...", 20_001: "aword1, bword2"}
    insert(empty.database, "skill_job1", jobs)
    run(empty.url, "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey")
    insert(empty.database, "skill_job1", {20_001: "aword1, bword2"})
    insert(empty.database, "users", dict(enumerate(texts(9, seed=5).values(), 1)))
    fill(empty.database, BlendEncoder(), batch_size=64)
    empty.pass_once()
    return empty


def over(
    exercise: Exercise, folder: Path, name: str, database: Database | None = None
) -> Ranking:
    """The ranking over the replica."""
    return ranking_over(
        database or exercise.database,
        BlendEncoder(),
        name=name,
        retrieval=exercise.replica,
        entry_source=exercise.replica,
        folder=folder,
        job_columns=exercise.columns,
    )


def compare(exercise: Exercise, folder: Path, name: str, *queries: Query) -> None:
    """Two pages of each query, over the replica and over the stream."""
    stream = ranking_over(
        exercise.database,
        BlendEncoder(),
        name=name,
        folder=folder,
        job_columns=exercise.columns,
    )
    replica = over(exercise, folder, name)
    asked: Sequence[Query] = queries
    for _ in range(2):
        found, expected = results(rank(replica, asked)), results(rank(stream, asked))
        for one, other in zip(found, expected, strict=True):
            assert one.hits == other.hits
            assert one.hits
            assert one.analyzed == other.analyzed
            assert one.pending == other.pending
            assert one.next_cursor == other.next_cursor
        asked = [
            replace(query, constraints=after(query, one.next_cursor))
            for query, one in zip(asked, found, strict=True)
            if one.next_cursor
        ]
        if not asked:
            return


def after(query: Query, text: str) -> Constraints:
    return replace(query.constraints, after=from_text(text))


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_the_stream(
    board: Exercise, tmp_path: Path, name: str
) -> None:
    run(
        board.url,
        "INSERT INTO recommender.feedback (user_id, job_id, event)"
        " SELECT 3, job_id::text, CASE WHEN job_id % 2 = 0 THEN 'saved'"
        " ELSE 'dismissed' END::recommender.feedback_event"
        " FROM skill_job1 WHERE job_id < 1500",
    )
    for _ in ("from files", "with changes in memory"):
        for query in (
            profile_query(10, user_id=1),
            profile_query(10, user_id=2, distinct=True),
            profile_query(10, user_id=3),
            profile_query(200, text="aword1 aword2, bword3, unheard"),
            profile_query(10, text=PROSE, distinct=True),
            profile_query(5, user_id=4, variety=Variety(diversity=0.5)),
            job_query(7, min(texts(JOBS, seed=1))),
        ):
            key = replace(query.key, ranking=name)
            compare(board, tmp_path, name, replace(query, key=key))
        insert(board.database, "skill_job1", {30_000: "aword1, bword3", 30_001: ".."})
        run(board.url, "UPDATE skill_job1 SET skills = 'aword2' WHERE job_id < 900")
        run(board.url, "DELETE FROM skill_job1 WHERE job_id BETWEEN 900 AND 1200")
        fill(board.database, BlendEncoder())


def test_filters_and_columns_are_those_of_the_stream(
    board: Exercise, tmp_path: Path
) -> None:
    run(board.url, "ALTER TABLE skill_job1 ADD COLUMN level INT")
    run(board.url, "UPDATE skill_job1 SET level = job_id % 3")
    board.columns = ["level"]
    board.pass_once()
    condition = AnyOf("level", ("1",))
    for name in ("skills", "hybrid"):
        query = profile_query(10, user_id=1, ranking=name, filters=(condition,))
        compare(board, tmp_path, name, query)


@pytest.mark.parametrize("addition", ADDITIONS)
@pytest.mark.parametrize("name", NAMES)
def test_a_request_for_a_known_user_takes_two_round_trips_and_5_kb(
    board: Exercise, tmp_path: Path, name: str, addition: str
) -> None:
    query = profile_query(10, user_id=1, ranking=name, distinct=name == "hybrid")
    if addition in ("feedback", "all of them"):
        run(
            board.url,
            "INSERT INTO recommender.feedback (user_id, job_id, event)"
            " SELECT 1, job_id::text, 'saved'::recommender.feedback_event"
            " FROM skill_job1 WHERE job_id % 20 = 1 ON CONFLICT DO NOTHING",
        )
    if addition in ("columns", "all of them"):
        run(board.url, "ALTER TABLE skill_job1 ADD COLUMN level INT DEFAULT 3")
        board.columns = ["level"]
        board.pass_once()
    if addition in ("diversity", "all of them"):
        query = replace(query, variety=Variety(diversity=0.5))
    compare(board, tmp_path, name, query)
    with running_proxy(socket_of(board.url)) as proxy:
        database_name = board.url.split("?")[0].rpartition("/")[2]
        with closing(Database(proxy.url(database_name), pool_size=1)) as database:
            ranking = over(board, tmp_path, name, database)
            # Connects, and reads the vocabulary.
            (first,) = results(rank(ranking, [query]))
            trips, received = proxy.upstream_messages, proxy.downstream_bytes
            (found,) = results(rank(ranking, [query]))
            assert proxy.upstream_messages - trips == 2
            assert proxy.downstream_bytes - received < MOST_BYTES
    assert found.hits == first.hits
    assert len(found.hits) == 10
    assert all(hit.text for hit in found.hits)
    assert any(hit.because for hit in found.hits) == (
        addition in ("feedback", "all of them")
    )


def test_a_synonym_of_the_team_takes_two_round_trips_more(
    board: Exercise, tmp_path: Path
) -> None:
    run(
        board.url,
        "INSERT INTO recommender.synonym (form, canonical) VALUES ('aw', 'aword1')",
    )
    fill(board.database, BlendEncoder())
    for name in ("skills", "hybrid"):
        compare(
            board, tmp_path, name, profile_query(10, text="aw, bword2", ranking=name)
        )

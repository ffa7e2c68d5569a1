"""Users' stored embeddings replace encoding if they are valid."""

import numpy as np
import pytest

from app.query.result import Result
from app.ranking.similarity import SimilarityRanking
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import VERSION, add_job, add_pending_jobs, add_user, admit


def answer(database: Database, encoder: HashEncoder, *users: int) -> list[Result]:
    queries = [profile_query(1, user_id=user) for user in users]
    return results(rank(ranking_over(database, encoder), queries))


def store(url: str, user_id: int, embedding: bytes, version: str) -> None:
    admit(url)
    run(
        url,
        "UPDATE recommender.user_state SET embedding = %s, embedding_version = %s"
        " WHERE user_id = %s",
        (embedding, version, user_id),
    )


def test_a_user_with_a_stored_embedding_is_not_encoded(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 1, "python")
    add_job(database_url, 2, "sql")
    add_user(database_url, 7, "python")
    # Another vector than that of the text, to tell them apart.
    store(database_url, 7, direction("sql").tobytes(), VERSION)
    encoder = HashEncoder()
    (found,) = answer(database, encoder, 7)
    assert found.hits[0].id == 2
    assert found.hits[0].similarity_score == 1.0
    assert encoder.seen == []


@pytest.mark.parametrize(
    ("embedding", "version"),
    [
        (direction("sql").tobytes(), "another-model"),
        (direction("sql").tobytes()[:-4], VERSION),
        (bytes(1536), VERSION),
        (np.full(384, np.nan, "<f4").tobytes(), VERSION),
        (np.full(384, 3e38, "<f4").tobytes(), VERSION),
    ],
    ids=["other model", "short", "zero", "nan", "overflow"],
)
def test_an_unsound_embedding_is_passed_over_and_the_text_is_encoded(
    database: Database, database_url: str, embedding: bytes, version: str
) -> None:
    add_job(database_url, 1, "python")
    add_user(database_url, 7, "python")
    store(database_url, 7, embedding, version)
    encoder = HashEncoder()
    (found,) = answer(database, encoder, 7)
    assert found.hits[0].similarity_score == 1.0
    assert encoder.seen == ["python"]


def test_users_with_and_without_embeddings_share_a_batch_in_order(
    database: Database, database_url: str
) -> None:
    texts = ["python", "sql", "cooking", "law"]
    for number, text in enumerate(texts, start=1):
        add_job(database_url, number, text)
        add_user(database_url, number, text)
    store(database_url, 2, direction("sql").tobytes(), VERSION)
    store(database_url, 4, direction("law").tobytes(), VERSION)
    encoder = HashEncoder()
    found = answer(database, encoder, 4, 3, 2, 1)
    assert [one.hits[0].id for one in found] == [4, 3, 2, 1]
    assert encoder.seen == ["cooking", "python"]


def test_an_edited_user_is_encoded_anew_from_the_next_request_on(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 1, "python")
    add_job(database_url, 2, "sql")
    add_user(database_url, 7, "python")
    store(database_url, 7, direction("python").tobytes(), VERSION)
    run(database_url, "UPDATE users SET skills = 'sql'")
    (found,) = answer(database, HashEncoder(), 7)
    assert found.hits[0].id == 2


def test_f29_the_answer_says_how_many_jobs_were_compared_and_how_many_wait(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 11, "python")
    add_job(database_url, 12, "other model", version="another-model")
    add_job(database_url, 13, "short", embedding=b"\1" * 1535)
    add_pending_jobs(database_url, ["new", None, " "])
    add_user(database_url, 7, "python")
    (found,) = answer(database, HashEncoder(), 7)
    assert (found.analyzed, found.pending) == (1, 3)


def test_the_count_of_pending_jobs_is_cached_for_some_seconds(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a"])
    recommender = ranking_over(database, HashEncoder())

    def pending() -> int:
        (found,) = results(rank(recommender, [profile_query(1, text="x")]))
        return found.pending

    assert pending() == 1
    run(database_url, "INSERT INTO skill_job1 (job_id, skills) VALUES (2, 'b')")
    assert pending() == 1
    assert isinstance(recommender, SimilarityRanking)
    recommender._pending._fresh_until = 0
    assert pending() == 2

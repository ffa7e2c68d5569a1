"""Vectors are filled from any stored embedding."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.backfill.vectors import VectorFilling
from app.backfill.watch import Work
from app.storage.connection.database import Database
from tests.integration.backfill.script import ENVIRONMENT, finish, until
from tests.integration.pgvector.searching import add_jobs, clustered, fill
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import run
from tests.support.rows import VERSION, add_job, add_pending_jobs
from tests.support.service import running_service
from tests.support.skills import all_work


def stored(url: str) -> dict[int, NDArray[np.float64] | None]:
    """The vector of each job that has one."""
    rows = run(url, "SELECT job_id, vector::text FROM recommender.job_vector")
    return {
        id_: None if text is None else np.array(text.strip("[]").split(","), float)
        for id_, text in rows
    }


def assert_stored_beside_embeddings(url: str, count: int) -> None:
    """Check that each vector has its embedding's direction, in half precision."""
    rows = run(url, "SELECT job_id, embedding FROM skill_job1 WHERE embedding NOTNULL")
    vectors = stored(url)
    assert vectors.keys() == {id_ for id_, _ in rows}
    assert len(vectors) == count
    for id_, data in rows:
        vector = vectors[id_]
        assert vector is not None
        embedding = np.frombuffer(data, "<f4").astype(np.float64)
        expected = embedding / np.linalg.norm(embedding)
        # Half precision: 2**-11 of each number, and 2**-25 near zero.
        np.testing.assert_allclose(vector, expected, rtol=2**-10, atol=2**-24)


def work(database: Database, encoder: HashEncoder) -> Work:
    """The work as in `generate_embeddings.py` and the service."""
    filling = VectorFilling(database, version=VERSION, stop=threading.Event())
    return replace(all_work(database, encoder, entities=["jobs"]), vectors=filling)


def test_a_run_stores_the_vectors_of_what_it_embeds_and_of_what_is_edited_later(
    vector_database: Database, vector_url: str
) -> None:
    add_pending_jobs(vector_url, [f"text {n}" for n in range(20)])
    backfill = work(vector_database, HashEncoder())
    list(backfill.run())
    assert_stored_beside_embeddings(vector_url, 20)

    run(vector_url, "UPDATE skill_job1 SET skills = 'edited' WHERE job_id = 7")
    assert stored(vector_url).keys() == {*range(1, 21)} - {7}
    list(backfill.run())
    assert_stored_beside_embeddings(vector_url, 20)
    vector = stored(vector_url)[7]
    assert vector is not None
    assert vector @ direction("edited") == pytest.approx(1, abs=1e-3)

    # A missing vector alone makes a row pending.
    assert backfill.vectors is not None
    assert backfill.vectors.waiting() == 0
    run(vector_url, "UPDATE recommender.job_state SET has_vector = false")
    assert stored(vector_url) == {}
    assert backfill.vectors.waiting() == 20
    assert backfill.any_waiting()
    list(backfill.run())
    assert_stored_beside_embeddings(vector_url, 20)


def test_embeddings_that_others_stored_get_their_vectors_batch_by_batch(
    vector_database: Database, vector_url: str
) -> None:
    add_jobs(vector_url, clustered(10), range(10))
    add_job(vector_url, 10, "nowhere", embedding=bytes(1536))
    spent: list[float] = []
    filling = VectorFilling(
        vector_database,
        version=VERSION,
        stop=threading.Event(),
        batch_rows=4,
        throttle=spent.append,
    )
    assert filling.waiting() == 11
    assert list(filling.run()) == [4, 4, 3]
    assert len(spent) == 3
    assert all(0 < seconds < 60 for seconds in spent)
    # Embeddings without a direction are not read again.
    assert filling.waiting() == 0
    assert list(filling.run()) == []
    assert stored(vector_url)[10] is None
    run(vector_url, "DELETE FROM skill_job1 WHERE job_id = 10")
    assert_stored_beside_embeddings(vector_url, 10)


def test_stopped_it_fills_no_more(vector_database: Database, vector_url: str) -> None:
    add_jobs(vector_url, clustered(6), range(6))
    stop = threading.Event()
    filling = VectorFilling(
        vector_database,
        version=VERSION,
        stop=stop,
        batch_rows=2,
        throttle=lambda _: stop.set(),
    )
    assert list(filling.run()) == [2]
    assert filling.waiting() == 4
    assert stored(vector_url).keys() == {0, 1}


def test_without_the_migration_there_is_nothing_to_fill(
    database: Database, database_url: str
) -> None:
    add_jobs(database_url, clustered(2), range(2))
    filling = VectorFilling(database, version=VERSION, stop=threading.Event())
    assert filling.waiting() == 0
    assert fill(database) == 0


def test_the_script_stores_them_as_well_and_says_how_many(vector_url: str) -> None:
    add_pending_jobs(vector_url, ["python", "sql", None])
    status, out, err = finish(vector_url)
    assert (status, err) == (0, "")
    assert "\n2 vectors copied from stored embeddings (" in out
    assert_stored_beside_embeddings(vector_url, 2)


def test_the_service_stores_them_where_it_embeds(
    vector_url: str, tmp_path: Path
) -> None:
    add_pending_jobs(vector_url, ["python", "sql"])
    settings = ENVIRONMENT | {
        "EMBED_IN_SERVICE": "true",
        "SEARCH_BACKEND": "pgvector",
        "BLAS_THREADS": "1",
    }
    with running_service(vector_url, tmp_path / "log", **settings):
        until(lambda: len(stored(vector_url)) == 2)
    assert_stored_beside_embeddings(vector_url, 2)

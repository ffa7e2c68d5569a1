"""A switch of the model with vectors: each has a table and an index of its own."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from app.backfill.switching import ModelSwitch, drop_old
from app.backfill.vectors import VectorFilling
from app.commands.build_vector_index import main as build_vector_index
from app.deadline import Deadline
from app.query.constraints import AnyOf
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.entity import vector_table
from app.storage.vector_filling import has_index
from tests.integration.models.encoders import PaddedEncoder, SmallEncoder
from tests.integration.pgvector.searching import explained, search
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.rows import add_pending_jobs, admit
from tests.support.skills import fill

GUIDE, OTHER = PaddedEncoder.version, SmallEncoder.version
# Fewer than an index keeps in mind: it misses none.
JOBS = 60
TEXTS = [f"word{n} sql{n % 20}, go {n % 5}" for n in range(JOBS)]
ASKED = [f"word{n} sql{n % 20}, go" for n in range(9)]
TABLES = {GUIDE: "job_vector", OTHER: vector_table(OTHER)}


def filling(database: Database, version: str, *, beside: bool = False) -> VectorFilling:
    return VectorFilling(
        database, version=version, beside=beside, stop=threading.Event()
    )


def switch_to(database: Database, encoder: SmallEncoder) -> ModelSwitch:
    return ModelSwitch(
        database, encoder, batch_size=50, slice_rows=10, stop=threading.Event()
    )


@pytest.fixture
def switch(
    vector_database: Database, vector_url: str, monkeypatch: pytest.MonkeyPatch
) -> ModelSwitch:
    """Jobs with vectors and an index by the guide's model, and embedded by another."""
    monkeypatch.setenv("DATABASE_URL", vector_url)
    run(vector_url, "ALTER TABLE skill_job1 ADD level integer")
    add_pending_jobs(vector_url, TEXTS)
    run(vector_url, "UPDATE skill_job1 SET level = job_id % 3")
    fill(vector_database, PaddedEncoder())
    assert sum(filling(vector_database, GUIDE).run()) == JOBS
    assert build_vector_index([]) == 0
    switch = switch_to(vector_database, SmallEncoder())
    switch.begin()
    list(switch.fill())
    return switch


def ids(url: str, version: str) -> set[int]:
    table = TABLES[version]
    return {id_ for (id_,) in run(url, f"SELECT job_id FROM recommender.{table}")}


def vectorless(url: str) -> list[tuple[int]]:
    query = "SELECT job_id FROM recommender.job_state WHERE NOT has_vector"
    return run(url, f"{query} AND state = 'embedded' ORDER BY 1")


def check_answers(database: Database, encoder: SmallEncoder) -> None:
    """Through the index of this model, as a full scan of its embeddings answers."""
    version, vectors = encoder.version, encoder.encode(ASKED)
    index = PgvectorSearch(version=version, scan_chunk_rows=100, exact_below=0)
    whole = FullScan(version=version, scan_chunk_rows=100)
    for filters in ((), (AnyOf("level", (0, 1)),)):
        asked = [profile_query(5, filters=filters)] * len(ASKED)
        found = search(database, index, vectors, asked, ["level"])
        wanted = search(database, whole, vectors, asked, ["level"])
        assert found.analyzed == wanted.analyzed > 0
        assert found.ranked == wanted.ranked


@pytest.mark.parametrize("version", [GUIDE, OTHER, "multilingual-e5-small", "Zürich"])
def test_the_table_of_a_model_is_called_as_the_database_calls_it(
    vector_url: str, version: str
) -> None:
    asked = "SELECT recommender.vector_table(%s)"
    assert run(vector_url, asked, (version,)) == [(vector_table(version),)]


def test_a_switch_answers_through_the_index_of_the_new_model_and_back(
    vector_database: Database,
    vector_url: str,
    switch: ModelSwitch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert switch.vectors.waiting() == JOBS
    assert sum(switch.vectors.run()) == JOBS
    assert switch.vectors.waiting() == 0
    assert build_vector_index(["--model", OTHER]) == 0
    check_answers(vector_database, PaddedEncoder())
    switch.switch()
    assert vectorless(vector_url) == []
    run(vector_url, "VACUUM ANALYZE")
    with monkeypatch.context() as patch:
        plans = explained(patch, "EXPLAIN")
        check_answers(vector_database, SmallEncoder())
    assert f"{TABLES[OTHER]}_hnsw_idx" in plans[0]
    assert "Materialize" not in plans[0]

    back = switch_to(vector_database, PaddedEncoder())
    assert list(back.fill()) == []
    assert back.vectors.waiting() == 0
    back.switch()
    assert vectorless(vector_url) == []
    check_answers(vector_database, PaddedEncoder())


def edit(url: str, statement: str) -> None:
    run(url, statement)
    admit(url)


VOIDS = {
    "a new text": "UPDATE skill_job1 SET skills = 'new' WHERE job_id = 7",
    "a new text without an embedding": (
        "UPDATE skill_job1 SET skills = 'new', embedding = NULL WHERE job_id = 7"
    ),
    "a deletion": "DELETE FROM skill_job1 WHERE job_id = 7",
}


@pytest.mark.parametrize("statement", VOIDS.values(), ids=VOIDS)
@pytest.mark.parametrize("switched", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("filled", [False, True], ids=["unfilled", "filled"])
def test_an_edit_forgets_the_vectors_by_all_models(
    vector_database: Database,
    vector_url: str,
    switch: ModelSwitch,
    *,
    statement: str,
    switched: bool,
    filled: bool,
) -> None:
    if filled:
        list(switch.vectors.run())
    if switched:
        switch.switch()
    edit(vector_url, statement)
    others = {*range(1, JOBS + 1)} - {7}
    assert ids(vector_url, GUIDE) == others
    assert ids(vector_url, OTHER) == (others if filled else set())
    fill(vector_database, SmallEncoder() if switched else PaddedEncoder())
    in_use = OTHER if switched else GUIDE
    list(filling(vector_database, in_use).run())
    check_answers(vector_database, SmallEncoder() if switched else PaddedEncoder())


def test_a_truncated_table_has_no_vectors(vector_url: str, switch: ModelSwitch) -> None:
    list(switch.vectors.run())
    run(vector_url, "TRUNCATE skill_job1")
    assert ids(vector_url, GUIDE) == ids(vector_url, OTHER) == set()


def test_an_embedding_that_changes_beside_the_model_in_use_forgets_its_vector(
    vector_database: Database, vector_url: str, switch: ModelSwitch
) -> None:
    list(switch.vectors.run())
    switch.switch()
    vector = np.ones(384, np.float32).tobytes()
    written = "UPDATE skill_job1 SET embedding = %s WHERE job_id = 7"
    run(vector_url, written, (vector,))
    assert 7 not in ids(vector_url, GUIDE)
    assert 7 in ids(vector_url, OTHER)
    back = switch_to(vector_database, PaddedEncoder())
    assert back.vectors.waiting() == 1


def test_who_fills_vectors_of_the_model_before_fills_none_after_the_switch(
    vector_database: Database, vector_url: str, switch: ModelSwitch
) -> None:
    switch.switch()
    assert len(vectorless(vector_url)) == JOBS
    check_answers(vector_database, SmallEncoder())
    old = filling(vector_database, GUIDE)
    assert (old.waiting(), sum(old.run())) == (0, 0)
    assert sum(switch.vectors.run()) == 0
    assert len(vectorless(vector_url)) == JOBS
    new = filling(vector_database, OTHER)
    assert (new.waiting(), sum(new.run()), new.waiting()) == (JOBS, JOBS, 0)
    check_answers(vector_database, SmallEncoder())


def tables(url: str) -> Sequence[str]:
    listed = (
        "SELECT relname FROM pg_class WHERE relkind = 'r'"
        " AND relname LIKE 'job\\_vector%' ORDER BY 1"
    )
    return [name for (name,) in run(url, listed)]


def test_dropping_the_other_models_drops_their_tables_of_vectors(
    vector_database: Database, vector_url: str, switch: ModelSwitch
) -> None:
    list(switch.vectors.run())
    switch.switch()
    with vector_database.snapshot(Deadline.after(30)) as transaction:
        jobs = Catalogue.read(transaction).jobs
        assert not has_index(transaction, OTHER)
    assert tables(vector_url) == [TABLES[GUIDE], TABLES[OTHER]]
    list(drop_old(vector_database, jobs, threading.Event()))
    assert tables(vector_url) == [TABLES[OTHER]]
    check_answers(vector_database, SmallEncoder())
    edit(vector_url, VOIDS["a new text"])
    back = switch_to(vector_database, PaddedEncoder())
    back.begin()
    fill(vector_database, SmallEncoder())
    list(back.fill())
    assert sum(back.vectors.run()) == JOBS
    back.switch()
    check_answers(vector_database, PaddedEncoder())

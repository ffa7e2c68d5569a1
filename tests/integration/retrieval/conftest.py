"""Fixtures: each backend over its own table, or over one that a file's tests share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.ids import IdColumn
from app.query.query import Query
from app.ranking.retrieval.base import Retrieval, SearchResult
from app.ranking.top_k.heap import Scored
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import WAITED_FOR, search
from tests.integration.retrieval.backends import BACKENDS, Backend
from tests.integration.retrieval.oracle import Oracle
from tests.support.postgres import Server, fresh_database, run, template_with
from tests.support.rows import VERSION

JOBS = 360
# The number of rows that an index may miss in some dozens of results.
MIN_RECALL = 0.95


@dataclass
class Exercise:
    """One backend over one database."""

    backend: Backend
    retrieval: Retrieval
    url: str
    database: Database
    id_type: str = "bigint"

    def add(self, embeddings: NDArray[np.float32], ids: Sequence[object]) -> None:
        """Add jobs with level 0, 1 or 2, and run the backend's worker."""
        run(
            self.url,
            "INSERT INTO skill_job1"
            " (job_id, skills, embedding, embedding_version, level)"
            f" SELECT id::{self.id_type}, 'text ' || id, embedding, %s, n %% 3"
            " FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY"
            " AS new (id, embedding, n)",
            (VERSION, [str(id_) for id_ in ids], [row.tobytes() for row in embeddings]),
        )
        self.settle()

    def settle(self) -> None:
        self.backend.settle(self.database)

    def search(
        self,
        vectors: NDArray[np.float32],
        queries: Sequence[Query],
        *,
        scope: BatchScope = WAITED_FOR,
        timeout_s: float = 60,
    ) -> SearchResult:
        return search(
            self.database, self.retrieval, vectors, queries, ["level"],
            scope=scope, timeout_s=timeout_s,
        )  # fmt: skip

    def check(
        self,
        vectors: NDArray[np.float32],
        queries: Sequence[Query],
        *,
        oracle: Oracle | None = None,
        scope: BatchScope = WAITED_FOR,
        is_counted: bool = True,
    ) -> SearchResult:
        """Search and compare with the oracle. Returns the result.

        `is_counted`: also compare the number of compared rows, which may be cached for
        seconds.
        """
        found = self.search(vectors, queries, scope=scope)
        oracle = oracle or Oracle.of(self.url)
        comparable = len(oracle.matching(queries[0].key.filters))
        assert found.analyzed == comparable or not is_counted
        is_exact = self.backend.is_exact or queries[0].key.exact
        hits = wanted = 0
        for ranked, query, vector in zip(found.ranked, queries, vectors, strict=True):
            whole = oracle.best(vector, query)
            best = whole[: query.top_k]
            rows = [(self.public(row), row.score) for row in ranked]
            assert rows == (best if is_exact else [r for r in whole if r in set(rows)])
            # With a minimum score, an index may return fewer rows.
            may_miss = not is_exact and query.constraints.min_score is not None
            assert len(rows) == len(best) or may_miss
            hits += len(set(rows) & set(best))
            wanted += len(best)
        assert hits >= MIN_RECALL * wanted
        return found

    def restarted(self) -> "Exercise":
        """The same with a new backend, whose caches are empty."""
        return replace(self, retrieval=self.backend.make())

    def public(self, row: Scored) -> int | str:
        """The public id of a ranked row."""
        return IdColumn.of_type(self.id_type).from_stream(row.id)


@contextmanager
def exercising(server: Server, backend: Backend) -> Iterator[Exercise]:
    template = template_with(server, backend.extras)
    with fresh_database(server, template=template) as url:
        run(url, "ALTER TABLE skill_job1 ADD level integer")
        database = Database(url, pool_size=4)
        yield Exercise(backend, backend.make(), url, database)
        database.close()


each_backend = partial(
    pytest.fixture, params=BACKENDS, ids=[backend.name for backend in BACKENDS]
)


@each_backend()
def empty(postgres: Server, request: pytest.FixtureRequest) -> Iterator[Exercise]:
    """Each backend over an empty table."""
    with exercising(postgres, request.param) as exercise:
        yield exercise


@pytest.fixture
def filled(empty: Exercise) -> Exercise:
    """Each backend over 360 jobs for one test."""
    fill_in(empty)
    return empty


@each_backend(scope="module")
def shared(postgres: Server, request: pytest.FixtureRequest) -> Iterator[Exercise]:
    """Each backend over 360 jobs, for tests that change nothing."""
    with exercising(postgres, request.param) as exercise:
        fill_in(exercise)
        yield exercise


def fill_in(exercise: Exercise) -> None:
    """Ids in no order; every tenth text occurs four times."""
    rows = around(JOBS)
    rows[::10] = rows[np.arange(0, JOBS, 10) % 90]
    ids = np.random.default_rng(2).permutation(10 * JOBS)[:JOBS]
    exercise.add(rows, ids.tolist())


def around(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(count, 384) around nine centres, of any length."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((9, 384))
    rows = centres[np.arange(count) % 9] + random.standard_normal((count, 384))
    return (rows * random.uniform(0.1, 9, (count, 1))).astype(np.float32)

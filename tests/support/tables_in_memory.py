"""In-memory tables, and the ranking by similarity over them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import ConnectionLostError
from app.query.ids import Id, IdColumn
from app.query.result import Result, Timings, Volume
from app.ranking import item_to_item, profiles, similarity
from app.ranking.base import RankingContext
from app.ranking.retrieval.base import SearchRequest, SearchResult
from app.ranking.similarity import SimilarityRanking
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK
from app.storage.catalogue import Catalogue
from app.storage.columns import JobColumn
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.copy.embeddings import EmbeddingChunk
from app.storage.entity import EntityTable
from app.storage.jobs import Job
from app.storage.skills import SkilledRow
from app.storage.users import User
from tests.support.encoders import DIMENSION, HashEncoder, direction
from tests.support.ranking import SCOPE
from tests.support.rows import VERSION

TRANSACTION = cast("Transaction", object())
JOBS, USERS = (
    EntityTable(
        "jobs",
        "public",
        "skill_job1",
        IdColumn("integer"),
        columns=(JobColumn("place", "text"),),
    ),
    EntityTable("users", "public", "users", IdColumn("integer")),
)
CATALOGUE = Catalogue(JOBS, USERS)
PENDING = 7
TEXTS = [f"text {n}" for n in range(12)]


@dataclass
class TablesInMemory:
    """Both tables in memory. Job n has the text TEXTS[n]; tests add users."""

    users: dict[Id, User] = field(default_factory=dict)
    embeddings: NDArray[np.float32] = field(
        default_factory=lambda: np.array([direction(text) for text in TEXTS])
    )
    doubled: Sequence[int] = ()
    losses: int = 0  # connections that will break
    searches: list[SearchRequest] = field(default_factory=list)
    looked_up: list[set[Id]] = field(default_factory=list)
    catalogues_read: int = 0
    counted: int = 0

    @contextmanager
    def snapshot(self, deadline: Deadline) -> Iterator[Transaction]:
        assert deadline == SCOPE.deadline
        if self.losses:
            self.losses -= 1
            raise ConnectionLostError("The connection broke.")
        yield TRANSACTION

    def read_catalogue(self, transaction: Transaction) -> Catalogue:
        assert transaction is TRANSACTION
        self.catalogues_read += 1
        return CATALOGUE

    def users_by_id(
        self,
        transaction: Transaction,
        ids: Sequence[Id],
        *,
        users: EntityTable,
        version: str,
    ) -> dict[Id, User]:
        assert (transaction, users, version) == (TRANSACTION, USERS, VERSION)
        return {id_: self.users[id_] for id_ in ids if id_ in self.users}

    def jobs_by_id(
        self,
        transaction: Transaction,
        ids: Sequence[Id],
        *,
        catalogue: Catalogue,
        is_last: bool,
    ) -> dict[Id, Job]:
        assert (transaction, catalogue, is_last) == (TRANSACTION, CATALOGUE, True)
        self.looked_up.append(set(ids))
        return {n: job(n) for n in ids if n not in self.doubled}

    def skilled_rows(
        self,
        transaction: Transaction,
        table: EntityTable,
        ids: Sequence[Id],
        *,
        version: str,
    ) -> dict[Id, SkilledRow]:
        assert (transaction, table, version) == (TRANSACTION, JOBS, VERSION)
        rows = {n: self.embeddings[n] for n in range(len(TEXTS))}
        rows[100] = cast("Any", None)
        rows[101] = np.zeros(DIMENSION, np.float32)
        return {n: SkilledRow(n, "", None, rows[n]) for n in map(int, ids) if n in rows}

    def count_unembedded(self, transaction: Transaction, table: EntityTable) -> int:
        assert (transaction, table) == (TRANSACTION, JOBS)
        self.counted += 1
        return PENDING

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        """As `Retrieval.search`, over all rows."""
        assert (transaction, catalogue, scope) == (TRANSACTION, CATALOGUE, SCOPE)
        assert all(query.key == request.key for query in request.queries)
        self.searches.append(request)
        column = IdColumn("integer")
        asked = request.queries
        top = CosineTopK(
            request.vectors if len(asked) else self.embeddings[:1],
            [query.top_k for query in asked] or [1],
            bounds=[Bounds.of(query.constraints, column) for query in asked],
        )
        top.update(EmbeddingChunk(np.arange(len(TEXTS)), self.embeddings))
        return SearchResult(
            [top.result(place) for place in range(len(asked))],
            analyzed=len(TEXTS),
            volume=Volume(rows=len(TEXTS), bytes=1000),
        )


@dataclass
class Observer:
    batches: list[tuple[int, Volume, Timings]] = field(default_factory=list)

    def batch_done(self, queries: int, volume: Volume, timings: Timings) -> None:
        self.batches.append((queries, volume, timings))


def job(number: Id) -> Job:
    return Job(TEXTS[int(number)], {"place": number})


def similarity_ranking(
    tables: TablesInMemory,
    patch: pytest.MonkeyPatch,
    *,
    encoder: HashEncoder | None = None,
    observer: Observer | None = None,
) -> SimilarityRanking:
    patch.setattr(Catalogue, "read", tables.read_catalogue)
    patch.setattr(profiles, "users_by_id", tables.users_by_id)
    patch.setattr(similarity, "users_by_id", tables.users_by_id)
    patch.setattr(similarity, "jobs_by_id", tables.jobs_by_id)
    patch.setattr(similarity, "count_unembedded", tables.count_unembedded)
    patch.setattr(item_to_item, "skilled_rows", tables.skilled_rows)
    return SimilarityRanking(
        RankingContext(
            cast("Database", tables),
            encoder or HashEncoder(),
            tables,
            Path("unused"),
            observer=observer,
        )
    )


def by_hand(
    vector: NDArray[np.float32], tables: TablesInMemory
) -> list[tuple[int, float]]:
    """All jobs and their scores, best first."""
    scores = tables.embeddings.astype(np.float64) @ vector.astype(np.float64)
    order = np.argsort(-scores, kind="stable").tolist()
    return [(n, round(float(scores[n]), 6)) for n in order]


def shown(result: Result) -> list[tuple[Id, float | None]]:
    return [(hit.id, hit.similarity_score) for hit in result.hits]

"""How many of some users' best jobs differ between two models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.ranking.retrieval.base import SearchRequest
from app.ranking.retrieval.full_scan import FullScan
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.models import some_users
from app.storage.users import users_by_id

COMPARED_USERS = 100
BEST = 10
COMPARISON_TIMEOUT_S = 600.0
COMPARED_CHUNK_ROWS = 1000


@dataclass(frozen=True)
class ModelComparison:
    """Of each user, how many of the best jobs by one model another one lacks."""

    changed: Sequence[int]

    def __str__(self) -> str:
        if not self.changed:
            return "No user has embeddings by both models: nothing was compared."
        same = sum(count == 0 for count in self.changed)
        return (
            f"Of the {BEST} best jobs, {np.mean(self.changed):.1f} are others on"
            f" average; {same} of {len(self.changed)} users keep all."
        )


def compare_models(
    database: Database, version: str, other_version: str
) -> ModelComparison:
    """Rank by both models' stored embeddings, in one snapshot: one scan each."""
    deadline = Deadline.after(COMPARISON_TIMEOUT_S)
    with database.snapshot(deadline) as transaction:
        catalogue = Catalogue.read(transaction)
        ids = some_users(transaction, catalogue.users, limit=COMPARED_USERS)
        scope = BatchScope(deadline, lambda: False)
        first, second = (
            _best(transaction, catalogue, ids, scope, of)
            for of in (version, other_version)
        )
    both = first.keys() & second.keys()
    return ModelComparison(
        [len(first[id_] - second[id_]) for id_ in sorted(both, key=str)]
    )


def _best(
    transaction: Transaction,
    catalogue: Catalogue,
    ids: Sequence[Id],
    scope: BatchScope,
    version: str,
) -> dict[Id, set[object]]:
    """The best jobs of the users whose embedding by this model is stored."""
    users = users_by_id(transaction, ids, users=catalogue.users, version=version)
    vectors = {
        id_: user.embedding for id_, user in users.items() if user.embedding is not None
    }
    if not vectors:
        return {}
    key = BatchKey()
    found = FullScan(version=version, scan_chunk_rows=COMPARED_CHUNK_ROWS).search(
        transaction,
        catalogue,
        SearchRequest(
            key,
            [Query(key, BEST, id_) for id_ in vectors],
            np.array(list(vectors.values()), np.float32),
        ),
        scope,
    )
    return {
        id_: {row.id for row in ranked}
        for id_, ranked in zip(vectors, found.ranked, strict=True)
    }

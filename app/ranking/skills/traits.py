"""Read what the choice among ranked jobs depends on."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.query.query import Query
from app.ranking.retrieval.base import Entries
from app.ranking.skills.choice import Traits
from app.ranking.skills.ranking_state import RankingState
from app.ranking.top_k.heap import Scored
from app.storage.codec import points_somewhere, squared_norms
from app.storage.connection.transaction import Transaction
from app.storage.entity import EntityTable
from app.storage.job_traits import embeddings_by_id, values_by_id
from app.storage.skills import SkilledRow, skill_ids_of


def read_traits(
    transaction: Transaction,
    table: EntityTable,
    queries: Mapping[int, Query],
    ranked: Mapping[int, Sequence[Scored]],
    states: Mapping[int, RankingState],
    *,
    version: str,
    entries: Entries | None = None,
) -> dict[int, Traits]:
    """The traits of the ranked rows of each query and of those on pages before, by the
    number of the query. One statement for each kind of trait that a query needs, or
    none for those that `entries` have.
    """
    ids = {
        n: [table.id_column.from_stream(row.id) for row in rows] + [*states[n].seen]
        for n, rows in ranked.items()
    }
    distinct = {id_ for n in ids if queries[n].distinct for id_ in ids[n]}
    diverse = {id_ for n in ids if queries[n].variety.diversity for id_ in ids[n]}
    if entries is None:
        lists = skill_ids_of(transaction, table, list(distinct))
        embeddings = embeddings_by_id(
            transaction, table, list(diverse), version=version
        )
    else:
        rows = entries.rows(list(distinct | diverse)).values()
        lists = {row.id: listed for row in rows if (listed := _listed(row))}
        embeddings = {
            row.id: row.embedding for row in rows if row.embedding is not None
        }
    vectors = {
        id_: embedding.astype(np.float64) / np.linalg.norm(embedding.astype(np.float64))
        for id_, embedding in embeddings.items()
        if points_somewhere(squared_norms(embedding[None]))[0]
    }
    found = {}
    for n, own in ids.items():
        columns = [name for name, _ in queries[n].variety.max_per]
        found[n] = Traits(
            lists if queries[n].distinct else {},
            values_by_id(transaction, table, own, columns=columns),
            vectors if queries[n].variety.diversity else {},
        )
    return found


def _listed(row: SkilledRow) -> frozenset[int]:
    return frozenset(() if row.skill_ids is None else row.skill_ids.tolist())

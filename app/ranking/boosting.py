"""Read the factors of the jobs' scores, once for all queries of a batch."""

from functools import partial

from app.batching.batcher import BatchScope
from app.query.query import BatchKey
from app.ranking.retrieval.scan import scan
from app.ranking.top_k.factors import RowFactors
from app.storage.boosts import stream_factors
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.copy.factors import FactorChunk, FactorReader

FACTORS_BUFFER_BYTES = 1 << 16


def read_factors(
    transaction: Transaction, catalogue: Catalogue, key: BatchKey, scope: BatchScope
) -> RowFactors | None:
    """The factors of the jobs that match; None if scores stay as they are.

    16 bytes of memory per job while the batch runs. Raises AbandonedError as `scan`,
    and InvalidInputError for a column that cannot be used.
    """
    if not key.boosts or key.target != "jobs":
        return None
    chunks: list[FactorChunk] = []
    scan(
        partial(
            stream_factors,
            transaction,
            jobs=catalogue.jobs,
            boosts=key.boosts,
            filters=key.filters,
        ),
        partial(FactorReader, catalogue.job_id.kind),
        chunks.append,
        scope,
        buffer_bytes=FACTORS_BUFFER_BYTES,
    )
    return RowFactors(chunks) if chunks else None

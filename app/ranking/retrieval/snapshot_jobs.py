"""The jobs of one snapshot: from a local copy, or else from the database."""

from collections.abc import Sequence
from functools import cached_property

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.query import BatchKey
from app.ranking.retrieval.base import Entries, EntrySource
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.skills import SkilledRow, skilled_rows


class SnapshotJobs:
    """Reads jobs as one batch needs them, in as few round trips as it can."""

    def __init__(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        key: BatchKey,
        scope: BatchScope,
        *,
        version: str,
        source: EntrySource | None,
    ) -> None:
        """`source`: a copy of the jobs, where there is one; what has changed is asked
        with the transaction's next statement of rows.
        """
        self._transaction = transaction
        self._catalogue = catalogue
        self._key = key
        self._scope = scope
        self._version = version
        self._source = source
        if source is not None:
            source.look_ahead(transaction, key)

    @cached_property
    def entries(self) -> Entries | None:
        """As `EntrySource.entries`."""
        if self._source is None:
            return None
        return self._source.entries(
            self._transaction, self._catalogue, self._key, self._scope
        )

    def rows(self, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        """As `skilled_rows`, without the texts where a copy has the rows."""
        if ids and self.entries is not None:
            return self.entries.rows(ids)
        jobs = self._catalogue.jobs
        return skilled_rows(self._transaction, jobs, ids, version=self._version)

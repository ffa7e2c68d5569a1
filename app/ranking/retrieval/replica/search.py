"""Search a local replica, consistent with the request's own snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.constraints import Condition
from app.query.ids import Id
from app.query.query import BatchKey
from app.query.result import AbandonedError, Volume
from app.ranking.retrieval.base import NOTHING_SEARCHED, SearchRequest, SearchResult
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.replica.codes_top_k import CodesTopK
from app.ranking.retrieval.replica.entries import ReplicaEntries
from app.ranking.retrieval.replica.records import MirroredRows, mirror_reader
from app.ranking.retrieval.replica.view import ReplicaView
from app.ranking.retrieval.replica.view_store import ViewStore
from app.ranking.retrieval.scan import scan
from app.ranking.top_k.bounds import Bounds
from app.storage.catalogue import Catalogue
from app.storage.changes import (
    TableState,
    look,
    look_ahead,
    stream_by_id,
    stream_ids,
)
from app.storage.conditions import where_clause
from app.storage.connection.transaction import Transaction
from app.storage.copy.ids import IdReader

# The maximum number of changes that a request reads: 0.8 MB. With more, the keeper
# updates the files, and the full scan answers in the meantime.
MOST_CHANGES = 512
CHANGES_BUFFER_BYTES = 100_000
IDS_BUFFER_BYTES = 64 * 1024


class ReplicaSearch:
    """A `Retrieval` and an `EntrySource` over a replica, exact.

    The full scan answers queries for users, and all queries while the replica is not
    ready or has too many changes to read.
    """

    def __init__(self, views: ViewStore, *, version: str, scan_chunk_rows: int) -> None:
        self._views = views
        self._version = version
        self._full_scan = FullScan(version=version, scan_chunk_rows=scan_chunk_rows)

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        """As `Retrieval.search`, exactly."""
        if not request.queries:
            return NOTHING_SEARCHED
        entries = request.entries or self.entries(
            transaction, catalogue, request.key, scope
        )
        if not isinstance(entries, ReplicaEntries):
            return self._full_scan.search(transaction, catalogue, request, scope)
        return _ranked(entries, catalogue, request)

    def look_ahead(self, transaction: Transaction, key: BatchKey) -> None:
        """As `EntrySource.look_ahead`."""
        latest = self._views.latest()
        if latest and key.target == "jobs":
            look_ahead(
                transaction,
                version=self._version, since=latest[0].since, most=MOST_CHANGES + 1,
            )  # fmt: skip

    def entries(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        key: BatchKey,
        scope: BatchScope,
    ) -> ReplicaEntries | None:
        """As `EntrySource.entries`."""
        if key.target != "jobs":
            return None
        _check(scope)
        every = current = self._current(transaction, catalogue, scope)
        if current is not None and key.filters:
            current = self._matching(
                transaction, catalogue, current, key.filters, scope
            )
        if every is None or current is None:
            return None
        return ReplicaEntries(
            current.view,
            every.view,
            catalogue.job_id,
            current.volume,
            partial(_check, scope),
        )

    def _current(
        self, transaction: Transaction, catalogue: Catalogue, scope: BatchScope
    ) -> "_Current | None":
        """The rows as this transaction sees them; None if the replica cannot provide
        them.
        """
        for view in self._views.latest():
            state = look(
                transaction, catalogue.jobs,
                version=self._version, since=view.since, most=MOST_CHANGES + 1,
            )  # fmt: skip
            if not _serves(view, state):
                self._views.withdraw(view)
                return None
            if not view.newest.is_seen_by(state.snapshot):
                # A request with a later snapshot was faster; try an earlier view.
                continue
            if len(state.changed) > MOST_CHANGES:
                self._views.wake_keeper()
                return None
            return self._caught_up(transaction, catalogue, view, state, scope)
        self._views.wake_keeper()
        return None

    def _caught_up(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        view: ReplicaView,
        state: TableState,
        scope: BatchScope,
    ) -> "_Current":
        rows: list[MirroredRows] = []
        volume = Volume(0, 0)
        if state.changed:
            rows, volume = self._read(transaction, catalogue, state.changed, scope)
        current = view.with_changes(
            state.changed, rows, column=catalogue.job_id, snapshot=state.snapshot
        )
        self._views.offer(current, has_changes=bool(state.changed))
        return _Current(current, volume)

    def _read(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        ids: Sequence[Id],
        scope: BatchScope,
    ) -> tuple[list[MirroredRows], Volume]:
        rows: list[MirroredRows] = []
        bytes_read = scan(
            lambda sink: stream_by_id(
                transaction, sink, jobs=catalogue.jobs, version=self._version, ids=ids
            ),
            partial(mirror_reader, catalogue.job_id.kind),
            rows.append,
            scope,
            buffer_bytes=CHANGES_BUFFER_BYTES,
        )
        return rows, Volume(sum(len(chunk.ids) for chunk in rows), bytes_read)

    def _matching(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        current: "_Current",
        filters: Sequence[Condition],
        scope: BatchScope,
    ) -> "_Current | None":
        """The rows that match the filters. Postgres evaluates these and sends ids."""
        parts: list[NDArray[Any]] = []
        bytes_read = scan(
            partial(
                stream_ids, transaction, jobs=catalogue.jobs,
                matching=where_clause(filters, catalogue.job_columns),
            ),
            partial(IdReader, catalogue.job_id.kind),
            parts.append,
            scope,
            buffer_bytes=IDS_BUFFER_BYTES,
        )  # fmt: skip
        ids = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        view = current.view.matching(ids)
        if view is None:
            return None
        return _Current(view, current.volume + Volume(len(ids), bytes_read))


@dataclass(frozen=True)
class _Current:
    """A view as of the request's snapshot, and the bytes read for it."""

    view: ReplicaView
    volume: Volume


def _serves(view: ReplicaView, state: TableState) -> bool:
    return (
        state.fault is None
        and state.identity == view.manifest.identity
        and state.can_continue(view.since)
    )


def _ranked(
    entries: ReplicaEntries, catalogue: Catalogue, request: SearchRequest
) -> SearchResult:
    queries = request.queries
    top = CodesTopK(
        request.vectors,
        [query.top_k for query in queries],
        bounds=[Bounds.of(query.constraints, catalogue.job_id) for query in queries],
        factors=request.factors,
    )
    top.take(entries.view, entries.check)
    ranked = [top.result(place) for place in range(len(queries))]
    return SearchResult(ranked, top.analyzed, entries.volume)


def _check(scope: BatchScope) -> None:
    if scope.abandoned():
        raise AbandonedError
    scope.deadline.check("comparing the jobs")

"""Writes a replica's files from the database: first all rows, then the changes.

Each slice of a fill has its own snapshot, so that none keeps the database from
cleaning up, and a stop costs one slice. The manifest's `since` is the snapshot of the
first slice: changes during the fill are read again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from app.deadline import Deadline
from app.ranking.retrieval.replica.files import ReplicaFiles, ReplicaManifest
from app.ranking.retrieval.replica.records import (
    WIDEST_ID,
    MirroredRows,
    mirror_reader,
)
from app.ranking.retrieval.replica.view import StoredRows
from app.storage.changes import (
    BEFORE_ALL,
    TableState,
    XidSnapshot,
    changed_in_order,
    end_of_slice,
    look,
    stream_by_id,
    stream_slice,
    widest_id,
)
from app.storage.connection.database import Database
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.reader import read_copy
from app.storage.entity import EntityTable

FILL_SLICE_ROWS = 4096
CHANGES_SLICE_ROWS = 1024
SLICE_TIMEOUT_S = 60.0
# Encoded at once: 0.8 MB in float64, and some such arrays.
FILL_BUFFER_BYTES = 400_000
# The first rows choose the basis of the heads: a thousand MiniLM embeddings, among 256
# three times as many rows would pass.
FIRST_BUFFER_BYTES = 1_600_000
BASIS_ROWS = 1024
# A table that began with fewer rows, and has so many times as many now, chooses again.
FEWEST_BASIS_ROWS = 256
GROWN = 16
# Each search reads void rows: at most a quarter of all, or this number.
MOST_DEAD_SHARE = 4
FEWEST_DEAD = 4096
COPIED_ROWS = 256
# A look reads the index of changes from `since`: at most so many transactions.
MOST_XIDS_BEHIND = 10_000


class TableChangedError(Exception):
    """The files belong to another table; the message explains it."""


class ReplicaFilling:
    """The writer's work. Raises TableChangedError, AppError and OSError."""

    def __init__(
        self,
        database: Database,
        files: ReplicaFiles,
        *,
        version: str,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._files = files
        self._version = version
        self._stop = stop

    def bring_up_to_date(
        self, manifest: ReplicaManifest | None, jobs: EntityTable, state: TableState
    ) -> ReplicaManifest:
        """Update the files. The manifest has every row unless `stop` was set."""
        # First of all: what a pass has left that failed may be what fills the disk.
        self._files.remove_others(manifest)
        if manifest is None:
            manifest = self._begin(jobs, state)
        while not manifest.complete and not self._stop.is_set():
            manifest = self._fill_slice(manifest, jobs)
        return self._take_changes(manifest, jobs) if manifest.complete else manifest

    def _begin(self, jobs: EntityTable, state: TableState) -> ReplicaManifest:
        width = {"integer": 8, "uuid": 16}.get(jobs.id_column.kind)
        if width is None:
            with self._database.snapshot(
                Deadline.after(SLICE_TIMEOUT_S)
            ) as transaction:
                # A margin for longer ids later.
                width = widest_id(transaction, jobs) + 8
        if width > WIDEST_ID:
            raise TableChangedError(f"an id has more than {WIDEST_ID - 8} bytes")
        snapshot = state.snapshot.text
        manifest = ReplicaManifest(
            state.identity, self._version, jobs.id_column.kind, width,
            since=snapshot, newest=snapshot, generation=time.time_ns(),
        )  # fmt: skip
        self._files.commit(manifest)
        return manifest

    def _fill_slice(
        self, manifest: ReplicaManifest, jobs: EntityTable
    ) -> ReplicaManifest:
        with self._database.snapshot(Deadline.after(SLICE_TIMEOUT_S)) as transaction:
            state = self._look(transaction, jobs, manifest)
            after = manifest.after
            end = end_of_slice(transaction, jobs, after=after, rows=FILL_SLICE_ROWS)
            stream = partial(
                stream_slice, transaction,
                jobs=jobs, version=self._version, after=after, end=end,
            )  # fmt: skip
            with self._files.appending(manifest) as appender:
                buffer_bytes = FILL_BUFFER_BYTES
                if not manifest.dimension:
                    buffer_bytes = FIRST_BUFFER_BYTES
                self._read(stream, jobs, appender.add, buffer_bytes=buffer_bytes)
                manifest = appender.synced()
        return self._commit(manifest, state, after=end, complete=end is None)

    def _take_changes(
        self, manifest: ReplicaManifest, jobs: EntityTable
    ) -> ReplicaManifest:
        """Append the changes that `since` did not see, slice by slice."""
        since, first, after = XidSnapshot(manifest.since), None, None
        before = manifest
        while not self._stop.is_set():
            with self._database.snapshot(
                Deadline.after(SLICE_TIMEOUT_S)
            ) as transaction:
                state = self._look(transaction, jobs, manifest)
                first = first or state.snapshot
                ids = changed_in_order(
                    transaction, jobs, since=since, after=after, most=CHANGES_SLICE_ROWS
                )
                if ids:
                    manifest = self._take(transaction, manifest, jobs, ids)
            if ids:
                manifest = self._commit(manifest, state)
                after = ids[-1]
            if len(ids) < CHANGES_SLICE_ROWS:
                if manifest is before and not self._is_old(state, since):
                    return manifest
                return self._commit(manifest, state, since=first.text)
        return manifest

    def _take(
        self,
        transaction: Transaction,
        manifest: ReplicaManifest,
        jobs: EntityTable,
        ids: list[int | str],
    ) -> ReplicaManifest:
        raw = [jobs.id_column.to_stream(id_) for id_ in ids]
        stored = StoredRows.of(self._files, manifest)
        with self._files.appending(manifest) as appender:
            appender.kill(stored.numbers_of(raw))
            stream = partial(
                stream_by_id, transaction, jobs=jobs, version=self._version, ids=ids
            )
            self._read(stream, jobs, lambda rows: appender.add(rows.only(raw)))
            return appender.synced()

    def compacted(self, manifest: ReplicaManifest) -> ReplicaManifest:
        """Copy the live rows into new files, with a basis that these choose, when it
        pays. Raises OSError without room for a copy.
        """
        is_coarse = manifest.basis_rows < FEWEST_BASIS_ROWS <= manifest.rows // GROWN
        most_dead = max(FEWEST_DEAD, manifest.rows // MOST_DEAD_SHARE)
        if self._stop.is_set() or (manifest.dead <= most_dead and not is_coarse):
            return manifest
        self._files.require_room(manifest)
        stored = StoredRows.of(self._files, manifest)
        lives = np.ones(len(stored.ids), bool)
        lives[stored.dead] = False
        empty = replace(
            ReplicaManifest(manifest.identity, manifest.version, manifest.kind,
                     manifest.id_width, manifest.since, manifest.newest),
            generation=time.time_ns(), complete=True,
        )  # fmt: skip
        with self._files.appending(empty) as appender:
            appender.learn(stored.exact[:: 1 + len(lives) // BASIS_ROWS])
            for start in range(0, len(lives), COPIED_ROWS):
                numbers = np.flatnonzero(lives[start : start + COPIED_ROWS]) + start
                if len(numbers):
                    appender.add(stored.rows(numbers))
            compacted = appender.synced()
        self._files.commit(compacted)
        self._files.remove_others(compacted)
        return compacted

    def _look(
        self, transaction: Transaction, jobs: EntityTable, manifest: ReplicaManifest
    ) -> TableState:
        state = look(transaction, jobs, version=self._version, since=BEFORE_ALL, most=0)
        if state.fault is not None or state.identity != manifest.identity:
            raise TableChangedError(state.fault or "the table was replaced")
        if not state.can_continue(XidSnapshot(manifest.since)):
            raise TableChangedError("the database has forgotten deletions since")
        return state

    def _read(
        self,
        stream: Callable[[Sink], None],
        jobs: EntityTable,
        consume: Callable[[MirroredRows], None],
        *,
        buffer_bytes: int = FILL_BUFFER_BYTES,
    ) -> None:
        reader = mirror_reader(jobs.id_column.kind, consume)
        read_copy(stream, reader, buffer_bytes=buffer_bytes)

    def _commit(
        self, manifest: ReplicaManifest, state: TableState, **fields: object
    ) -> ReplicaManifest:
        manifest = replace(manifest, newest=state.snapshot.text, **fields)  # type: ignore[arg-type]
        self._files.commit(manifest)
        return manifest

    def _is_old(self, state: TableState, since: XidSnapshot) -> bool:
        """Whether a look would read many known changes."""
        return state.snapshot.xmin - since.xmin > MOST_XIDS_BEHIND

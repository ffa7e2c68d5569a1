"""A replica beside the full scan, over one database: the same questions to both."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.query.query import BatchKey, Query
from app.ranking.retrieval.base import Retrieval, SearchRequest, SearchResult
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.replica.replica import Replica
from app.ranking.top_k.codes import CodedEntryChunk, coded
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.embeddings import CopyReader
from app.storage.copy.reader import read_copy
from app.storage.copy.skill_ids import (
    EntryChunk,
    SkillIdChunk,
    entry_reader,
    skill_reader,
)
from app.storage.entity import EntityTable
from app.storage.skills import stream_entries, stream_skill_ids
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.rows import VERSION

# As the backfill stores them: none, or one to three, by the last byte of the id's hash.
ADD_SKILL_IDS = """
UPDATE recommender.job_state
SET changed = pg_current_xact_id(), skill_ids = substr(
    '\\x010000000200000005000000'::bytea, 1, 4 * (ascii(md5(job_id::text)) % 4))
WHERE skill_ids IS NULL AND state = 'embedded' AND ascii(md5(job_id::text)) % 4 > 0
"""
SCOPE = BatchScope(deadline=Deadline.after(3600), abandoned=lambda: False)
STREAM = FullScan(version=VERSION, scan_chunk_rows=50)
QUERIES = [profile_query(10), profile_query(40), profile_query(1)]


class Exercise:
    """One process's replica; `pass_once` is what its keeper does in a thread."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.columns: Sequence[str] = ()
        self.database = Database(url, pool_size=4)
        self.replica = Replica(
            self.database, folder, version=VERSION, scan_chunk_rows=50
        )

    def close(self) -> None:
        self.replica.close()
        self.database.close()

    def pass_once(self) -> None:
        self.replica.keeper.run_once()

    def check(
        self,
        vectors: NDArray[np.float32] | None = None,
        queries: Sequence[Query] = QUERIES,
    ) -> SearchResult | None:
        """Compare with the stream in one snapshot; what the replica itself found, None
        where it left the answer to the full scan.
        """
        with self.database.snapshot(Deadline.after(60)) as transaction:
            return self.check_in(transaction, vectors, queries)

    def rows_read(self) -> int:
        """Compare likewise; the rows that the replica, which must answer, read from the
        database.
        """
        found = self.check()
        assert found is not None
        return found.volume.rows

    def check_in(
        self,
        transaction: Transaction,
        vectors: NDArray[np.float32] | None = None,
        queries: Sequence[Query] = QUERIES,
    ) -> SearchResult | None:
        vectors = around(len(queries), seed=1) if vectors is None else vectors
        spy = Spy(STREAM)
        self.replica._full_scan = spy  # type: ignore[assignment]
        catalogue = Catalogue.read(transaction, job_columns=self.columns)
        request = SearchRequest(queries[0].key, queries, vectors)
        found = self.replica.search(transaction, catalogue, request, SCOPE)
        expected = STREAM.search(transaction, catalogue, request, SCOPE)
        assert found.ranked == expected.ranked
        assert found.analyzed == expected.analyzed
        self._compare_rows(transaction, catalogue, queries[0].key)
        return None if spy.called else found

    def _compare_rows(
        self, transaction: Transaction, catalogue: Catalogue, key: BatchKey
    ) -> None:
        """What the rankings by skills compare is what they would be streamed."""
        entries = self.replica.entries(transaction, catalogue, key, SCOPE)
        if entries is None:
            return
        for has_embeddings in (False, True):
            fed: list[Row] = []
            entries.feed(
                partial(_note, fed, has_embeddings), has_embeddings=has_embeddings
            )
            streamed = _streamed(transaction, catalogue.jobs, key, has_embeddings)
            assert sorted(fed) == sorted(streamed)


# An id, its skill ids, and its embedding where this is compared.
Row = tuple[int | bytes, list[int], bytes]


def _note(rows: list[Row], has_embeddings: bool, chunk: SkillIdChunk) -> None:
    numbers = np.arange(len(chunk.ids))
    vectors = [b""] * len(chunk.ids)
    if has_embeddings and isinstance(chunk, EntryChunk):
        vectors = [row.tobytes() for row in chunk.embeddings_at(numbers)]
    if isinstance(chunk, CodedEntryChunk):
        # Codes are those of the same rows.
        codes = coded(chunk.embeddings_at(numbers))
        assert np.array_equal(codes.integers, chunk.codes.integers)
        assert np.array_equal(codes.scales, chunk.codes.scales)
    lists = np.split(chunk.skill_ids, chunk.starts[1:])
    rows += zip(
        chunk.ids.tolist(), [own.tolist() for own in lists], vectors, strict=True
    )


def _streamed(
    transaction: Transaction, jobs: EntityTable, key: BatchKey, has_embeddings: bool
) -> list[Row]:
    rows: list[Row] = []
    note = partial(_note, rows, has_embeddings)
    kind = jobs.id_column.kind
    reader: CopyReader[Any]
    stream: Callable[[Sink], None]
    if has_embeddings:
        reader = entry_reader(kind, note)
        stream = partial(
            stream_entries,
            transaction,
            table=jobs,
            version=VERSION,
            dimension=384,
            filters=key.filters,
        )
    else:
        reader = skill_reader(kind, note)
        stream = partial(stream_skill_ids, transaction, table=jobs, filters=key.filters)
    read_copy(stream, reader, buffer_bytes=1 << 16)
    return rows


class Spy:
    """Tells whether the full scan was asked."""

    def __init__(self, retrieval: Retrieval) -> None:
        self._retrieval = retrieval
        self.called = False

    def search(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        request: SearchRequest,
        scope: BatchScope,
    ) -> SearchResult:
        self.called = True
        return self._retrieval.search(transaction, catalogue, request, scope)


def around(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(count, 384) around nine centres, of any length."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((9, 384))
    rows = centres[np.arange(count) % 9] + random.standard_normal((count, 384))
    return (rows * random.uniform(0.1, 9, (count, 1))).astype(np.float32)


def add_jobs(
    url: str, embeddings: NDArray[np.float32], ids: Sequence[object], *, table: str = ""
) -> None:
    run(
        url,
        f"INSERT INTO {table or 'skill_job1'}"
        " (job_id, skills, embedding, embedding_version)"
        " SELECT id, 'text ' || id, embedding, %s"
        " FROM unnest(%s, %s::bytea[]) AS new (id, embedding)",
        (VERSION, list(ids), [row.tobytes() for row in embeddings]),
    )
    run(url, ADD_SKILL_IDS)


@contextmanager
def started(url: str, folder: Path) -> Iterator[Exercise]:
    """A replica in this folder, closed at the end."""
    exercise = Exercise(url, folder)
    try:
        yield exercise
    finally:
        exercise.close()


def generation(folder: Path) -> str:
    """The name that the files of one filling share."""
    (path,) = folder.glob("*.exact")
    return path.stem

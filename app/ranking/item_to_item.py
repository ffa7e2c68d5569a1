"""Jobs like a job, and users for a job, by the cosine similarity of whole texts: from
stored embeddings alone, without the model.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.errors import AppError, InconclusiveError, JobNotFoundError
from app.query.ids import Id
from app.query.query import AbandonedError, NeighbourQuestion, Question
from app.query.result import BatchObserver, Match, SkillAnswer, Timings, Volume
from app.ranking.retrieval.base import Found, Search
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK, Scored
from app.storage.catalogue import Catalogue
from app.storage.codec import DIMENSION, EMBEDDING_BYTES
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.copy.embeddings import EmbeddingChunk, RecordReader
from app.storage.copy.reader import read_copy
from app.storage.sides import Side, job_side, user_side
from app.storage.skills import SkilledRow, skilled_rows, stream_side_embeddings


class Neighbours:
    """Answers such questions from the database. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        search: Search,
        *,
        version: str,
        scan_chunk_rows: int,
        observer: BatchObserver | None = None,
        job_columns: Sequence[str] = (),
    ) -> None:
        """`search` ranks jobs, `scan_chunk_rows` is for users; `job_columns`: the names
        of JOB_COLUMNS.
        """
        self._search = search
        self._observer = observer
        self._job_columns = job_columns
        self._database = database
        self._version = version
        self._buffer_bytes = scan_chunk_rows * EMBEDDING_BYTES

    def answer_all(
        self, questions: Sequence[NeighbourQuestion], scope: BatchScope
    ) -> Sequence[SkillAnswer | AppError]:
        """As `Recommender.answer_all`; the questions have one `batch_key`."""
        return retry_once_if_lost(self._pass, questions, scope)

    def _pass(
        self, questions: Sequence[NeighbourQuestion], scope: BatchScope
    ) -> Sequence[SkillAnswer | AppError]:
        start = time.perf_counter()
        with self._database.snapshot(scope.deadline) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=self._job_columns)
            jobs = job_side(catalogue)
            side = user_side(catalogue) if questions[0].finds_users else jobs
            keys = [jobs.id_column.parse(question.job_id) for question in questions]
            rows = self._rows(transaction, jobs, [k for k in keys if k is not None])
            asked = [n for n, k in enumerate(keys) if _is_comparable(rows, k)]
            vectors = [rows[k].embedding for n in asked if (k := keys[n]) is not None]
            found = self._best(
                transaction,
                catalogue,
                scope,
                vectors=np.array(vectors, np.float32).reshape(-1, DIMENSION),
                questions=[questions[n] for n in asked],
            )
            others = {
                n: _others(ranked, questions[n], keys[n], side)
                for n, ranked in zip(asked, found.ranked, strict=True)
            }
            ids = {id_ for scored in others.values() for id_, _ in scored}
            texts = self._rows(transaction, side, list(ids))
        timings = Timings(0.0, (time.perf_counter() - start) * 1000)
        if self._observer:
            self._observer.batch_done(len(questions), found.volume, timings)
        inconclusive = {asked[place] for place in found.inconclusive}
        return [
            InconclusiveError()
            if n in inconclusive
            else _answer(
                rows,
                key,
                others.get(n),
                texts,
                analyzed=found.analyzed,
                timings=timings,
            )
            for n, key in enumerate(keys)
        ]

    def _rows(
        self, transaction: Transaction, side: Side, ids: Sequence[Id]
    ) -> dict[Id, SkilledRow]:
        return skilled_rows(transaction, side, ids, version=self._version)

    def _best(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        scope: BatchScope,
        *,
        vectors: NDArray[np.float32],  # (q, 384)
        questions: Sequence[NeighbourQuestion],
    ) -> Found:
        # One more than asked for: the job itself is among the best.
        asked = [
            Question(each.top_n + 1, constraints=each.constraints, shallow=each.shallow)
            for each in questions
        ]
        if not questions or not questions[0].finds_users:
            return self._search.best(transaction, catalogue, asked, vectors, scope)
        return self._best_users(
            transaction, user_side(catalogue), scope, vectors, asked
        )

    def _best_users(
        self,
        transaction: Transaction,
        side: Side,
        scope: BatchScope,
        vectors: NDArray[np.float32],
        questions: Sequence[Question],
    ) -> Found:
        top = CosineTopK(
            vectors,
            [question.top_n for question in questions],
            bounds=[Bounds.of(each.constraints, side.id_column) for each in questions],
        )

        def consume(batch: EmbeddingChunk) -> None:
            if scope.abandoned():
                raise AbandonedError
            top.update(batch)

        reader = RecordReader(side.id_column.kind, consume)
        read_copy(
            lambda sink: stream_side_embeddings(
                transaction,
                sink,
                side,
                version=self._version,
                filters=questions[0].constraints.filters,
            ),
            reader,
            buffer_bytes=self._buffer_bytes,
        )
        return Found(
            [top.result(rank) for rank in range(len(questions))],
            top.analyzed,
            Volume(top.analyzed + top.unusable, reader.bytes_read),
        )


def _is_comparable(rows: dict[Id, SkilledRow], key: Id | None) -> bool:
    row = None if key is None else rows.get(key)
    if row is None or row.embedding is None:
        return False
    norm = float(np.linalg.norm(row.embedding.astype(np.float64)))
    return bool(np.isfinite(norm)) and norm > 0


def _others(
    ranked: Sequence[Scored], question: NeighbourQuestion, key: Id | None, side: Side
) -> list[tuple[Id, float]]:
    public = [(side.id_column.from_stream(row.id), row.score) for row in ranked]
    if not question.finds_users:
        public = [(id_, score) for id_, score in public if id_ != key]
    return public[: question.top_n]


def _answer(
    rows: dict[Id, SkilledRow],
    key: Id | None,
    found: Sequence[tuple[Id, float]] | None,
    texts: dict[Id, SkilledRow],
    *,
    analyzed: int,
    timings: Timings,
) -> SkillAnswer | AppError:
    if key is None or key not in rows:
        return JobNotFoundError("No job has this job_id.")
    if found is None:
        return SkillAnswer((), 0, timings, note="This job has no embedding yet.")
    matches = [
        Match(id_, texts[id_].skills, score, None, texts[id_].columns)
        for id_, score in found
    ]
    return SkillAnswer(matches, analyzed, timings)

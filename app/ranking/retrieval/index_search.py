"""The queries of a batch, searched through an index of vectors step by step."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.result import AbandonedError
from app.ranking.retrieval.base import SearchRequest
from app.ranking.retrieval.scan import scan
from app.ranking.retrieval.search_params import SearchStep
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK
from app.ranking.top_k.heap import Scored
from app.storage.connection.transaction import Transaction
from app.storage.copy.candidates import Candidates, Gathered
from app.storage.copy.embeddings import EmbeddingChunk, RecordReader
from app.storage.copy.reader import read_copy
from app.storage.jobs import Job, job_from_json
from app.storage.vectors import (
    NearestQuery,
    VectorQuery,
    stream_nearest,
    stream_vectorless,
)

CANDIDATES_BUFFER_BYTES = 64 * 1024
# Scores are published with six digits.
HALF_A_DIGIT = 0.5e-6


class IndexSearch:
    """Each candidate is scored for the query that it came for, and for no other: what
    a query meets must not depend on who else asks.
    """

    def __init__(
        self,
        transaction: Transaction,
        rows: VectorQuery,
        request: SearchRequest,
        scope: BatchScope,
        *,
        with_texts: bool = False,
    ) -> None:
        """`with_texts`: with the texts of the candidates, where these are few."""
        self._transaction = transaction
        self._rows = rows
        self._queries = request.queries
        self._scope = scope
        exact = request.vectors.astype(np.float64)
        self._units = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        self._vectors = request.vectors
        # Of the answered queries: where their best are, and at which place.
        self._tops: dict[int, tuple[CosineTopK, int]] = {}
        self._with_texts = with_texts
        self._shown: dict[int | bytes, bytes] = {}
        self.open = list(range(len(request.queries)))
        self._inconclusive: set[int] = set()
        # Whether there are rows without a vector.
        self.vectorless = False
        self.unusable = 0
        self.rows_read = 0
        self.bytes_read = 0

    def go(self, step: SearchStep, *, is_last: bool = False) -> None:
        """Let the open queries try this step; `is_last`: the transaction may end."""
        asked = {n: self._near(n, step) for n in self.open if self._tries(n, step)}
        # What an index finds depends on how it is asked: not on what others ask of it.
        groups = list(_alike(asked))
        for number, group in enumerate(groups, 1):
            self._take(group, step, is_last=is_last and number == len(groups))

    def _take(
        self, asked: Mapping[int, NearestQuery], step: SearchStep, *, is_last: bool
    ) -> None:
        gathered = self._gather(list(asked.values()), step, is_last=is_last)
        self._shown |= gathered.shown()
        top = self._top_of(list(asked))
        for nth, chunk in gathered.batches():
            top.consider(nth, chunk)
        for place, (n, found) in enumerate(zip(asked, gathered.of, strict=True)):
            is_short = found.full and self._is_short(n, top, place, found)
            if found.last or is_short:
                self._inconclusive.add(n)
            if step.settles(found) and not is_short:
                self.open.remove(n)
                self._tops[n] = top, place

    def ranked(self) -> dict[int, Sequence[Scored]]:
        """The best of each answered query."""
        return {n: top.result(place) for n, (top, place) in self._tops.items()}

    @property
    def size(self) -> int:
        return len(self._queries)

    def jobs(self, ranked: Iterable[Sequence[Scored]]) -> dict[Id, Job]:
        """What an answer shows of these, as far as it came along."""
        column, columns = self._rows.job_id, self._rows.columns
        best = {row.id for rows in ranked for row in rows}
        return {
            column.from_stream(id_): job_from_json(self._shown[id_], columns)
            for id_ in best & self._shown.keys()
        }

    def read_vectorless(self) -> None:
        """Compare the rows whose vectors are still to be made, should there be any."""
        if not self.vectorless or not self._tops:
            return
        tops = {id(top): top for top, _ in self._tops.values()}

        def consume(chunk: EmbeddingChunk) -> None:
            for top in tops.values():
                before = top.unusable
                top.update(chunk)
                unusable = top.unusable - before
            self.unusable += unusable
            self.rows_read += len(chunk.ids)

        self.bytes_read += scan(
            partial(stream_vectorless, self._transaction, rows=self._rows),
            partial(RecordReader, self._rows.job_id.kind),
            consume,
            self._scope,
            buffer_bytes=CANDIDATES_BUFFER_BYTES,
        )

    def _top_of(self, numbers: Sequence[int]) -> CosineTopK:
        asked = [self._queries[n] for n in numbers]
        return CosineTopK(
            self._vectors[numbers],
            [query.top_k for query in asked],
            bounds=[Bounds.of(each.constraints, self._rows.job_id) for each in asked],
        )

    def _is_short(
        self, number: int, top: CosineTopK, place: int, found: Candidates
    ) -> bool:
        """Whether rows of pages before took the places of those of this one."""
        query = self._queries[number]
        if query.constraints.after is None:
            return False
        if len(top.result(place)) >= query.top_k:
            return False
        least = query.constraints.min_score
        if least is None:
            return True
        embeddings = found.matrix()
        norms = np.linalg.norm(embeddings, axis=1)
        lowest = float(np.min(embeddings @ self._units[number] / norms))
        return lowest > least - HALF_A_DIGIT

    def _tries(self, number: int, step: SearchStep) -> bool:
        if step.hnsw is None:
            return True
        if self._queries[number].key.exact:
            return False
        return number in self._inconclusive or not step.if_inconclusive

    def _gather(
        self, asked: Sequence[NearestQuery], step: SearchStep, *, is_last: bool
    ) -> Gathered:
        self._check_waiting()
        gathered = Gathered(len(asked), integer_ids=self._rows.job_id.kind == "integer")
        stream = partial(
            stream_nearest, self._transaction, rows=self._rows, asked=asked,
            hnsw=step.hnsw, shows=self._with_texts and step.shows, is_last=is_last,
        )  # fmt: skip
        read_copy(stream, gathered.reader, buffer_bytes=CANDIDATES_BUFFER_BYTES)
        self.vectorless |= gathered.vectorless
        self.rows_read += gathered.rows
        self.bytes_read += gathered.reader.bytes_read
        return gathered

    def _near(self, number: int, step: SearchStep) -> NearestQuery:
        query = self._queries[number]
        constraints, column = query.constraints, self._rows.job_id
        excluded = [column.parse(id_) for id_ in constraints.exclude]
        last = constraints.after
        # Rows that tie with the last one of the page before may come again.
        wanted = query.top_k + (step.oversampling // 2 if last else 0)
        return NearestQuery(
            self._units[number],
            wanted=wanted,
            size=wanted + step.oversampling,
            margin=step.margin,
            excluded=[id_ for id_ in excluded if id_ is not None],
            at_most=None if last is None else last.score + HALF_A_DIGIT,
        )

    def _check_waiting(self) -> None:
        if self._scope.abandoned():
            raise AbandonedError


def _alike(asked: Mapping[int, NearestQuery]) -> Iterable[Mapping[int, NearestQuery]]:
    """Queries in groups of one size and the same conditions."""
    groups: dict[object, dict[int, NearestQuery]] = {}
    for n, near in asked.items():
        groups.setdefault((near.size, near.conditions), {})[n] = near
    return groups.values()

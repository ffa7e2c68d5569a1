"""The queries of a batch, searched through an index of vectors step by step."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.query import Query
from app.query.result import Volume
from app.ranking.retrieval.base import SearchRequest
from app.ranking.retrieval.scan import scan
from app.ranking.retrieval.search_params import SearchStep
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.cosine import CosineTopK
from app.ranking.top_k.heap import Scored
from app.storage.connection.transaction import Transaction
from app.storage.copy.embeddings import EmbeddingChunk, RecordReader
from app.storage.vectors import NearestQuery, VectorQuery, read_spares, stream_nearest

CANDIDATES_BUFFER_BYTES = 64 * 1024
# Scores are published with six digits.
HALF_A_DIGIT = 0.5e-6
# Cosines above which one text repeats the other, and above which they are equal.
REPEATED, EQUAL = 0.91, 0.99999
# A search is widened if each text came this many times: one in twenty of a million
# recombined postings, and nearly all if each posting occurs thirty times.
TIMES = 3
# Fewer rows do not show whether they repeat one another.
LEAST_WANTED = 10
# The nearest jobs that are ordered by freshness and boosts: the same for each page.
BOOSTED_CANDIDATES = 300


class IndexSearch:
    """Each candidate is scored only for the query that found it: an answer must not
    depend on the other queries of the batch.
    """

    def __init__(
        self,
        transaction: Transaction,
        rows: VectorQuery,
        request: SearchRequest,
        scope: BatchScope,
    ) -> None:
        self._transaction = transaction
        self._rows = rows
        self._queries = request.queries
        self._scope = scope
        self._factors = request.factors
        exact = request.vectors.astype(np.float64)
        self._units = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        self._vectors = request.vectors
        self._ranked: dict[int, Sequence[Scored]] = {}
        # Of the open queries whose rows repeat one another: how many times.
        self._repeats: dict[int, int] = {}
        self.volume = Volume(rows=0, bytes=0)
        # Rows without a vector that were compared and have an unusable embedding.
        self.unusable = 0

    @property
    def open(self) -> list[int]:
        """Places of the queries that need a step more."""
        return [n for n in range(len(self._queries)) if n not in self._ranked]

    @property
    def ranked(self) -> list[Sequence[Scored]]:
        """The best of each query, once none is open."""
        return [self._ranked[n] for n in range(len(self._queries))]

    def go(self, step: SearchStep) -> None:
        """Let the open queries try this step."""
        self._ask({n: self._nearest(n, step) for n in self.open}, step)

    def widen(self, step: SearchStep) -> None:
        """Search again for queries whose rows repeat one another.

        An index holds rows, not texts: if each text occurs thirty times, 80 rows are
        three texts, and the search stops before it has met the right one.
        """
        asked = {
            n: replace(self._nearest(n, step), repeats=times)
            for n, times in self._repeats.items()
        }
        self._ask(asked, step)

    def _ask(self, asked: Mapping[int, NearestQuery], step: SearchStep) -> None:
        # An answer depends on the parameters of its own search: only queries with equal
        # parameters share a statement.
        for group in _alike(asked):
            self._search(group, step)

    def _search(self, asked: Mapping[int, NearestQuery], step: SearchStep) -> None:
        queries = [self._queries[n] for n in asked]
        top = CosineTopK(
            self._vectors[list(asked)],
            [query.top_k for query in queries],
            bounds=[Bounds.of(q.constraints, self._rows.job_id) for q in queries],
            factors=self._factors,
        )
        near = next(iter(asked.values()))
        is_boosted = self._factors is not None
        is_narrow = step.is_narrow(near.size) and near.repeats == 1 and not is_boosted
        found = _Candidates(
            top, queries, is_exact=step.hnsw is None, is_narrow=is_narrow
        )
        bytes_read = scan(
            partial(
                stream_nearest,
                self._transaction,
                rows=self._rows,
                asked=list(asked.values()),
                hnsw=step.hnsw,
            ),
            partial(RecordReader, self._rows.job_id.kind),
            found.take,
            self._scope,
            buffer_bytes=CANDIDATES_BUFFER_BYTES,
        )
        self.volume += Volume(found.rows, bytes_read)
        self.unusable = top.unusable
        for place, n in enumerate(asked):
            times = found.repeats(place)
            if times > 1:
                self._repeats[n] = times
            elif is_boosted or found.settles(place):
                self._ranked[n] = top.result(place)

    def _nearest(self, number: int, step: SearchStep) -> NearestQuery:
        query = self._queries[number]
        constraints, column = query.constraints, self._rows.job_id
        excluded = [column.parse(id_) for id_ in constraints.exclude]
        last = None if self._factors else constraints.after
        least = BOOSTED_CANDIDATES if self._factors else LEAST_WANTED
        # Rows that tie with the last row of the previous page may come again.
        wanted = max(query.top_k, least) + (step.oversampling // 2 if last else 0)
        return NearestQuery(
            self._units[number],
            wanted=wanted,
            size=wanted + step.oversampling,
            margin=step.margin,
            excluded=[id_ for id_ in excluded if id_ is not None],
            at_most=None if last is None else last.score + HALF_A_DIGIT,
        )


class _Candidates:
    """What one statement finds for its queries."""

    def __init__(
        self,
        top: CosineTopK,
        queries: Sequence[Query],
        *,
        is_exact: bool,
        is_narrow: bool,
    ) -> None:
        self._is_exact = is_exact
        self._is_narrow = is_narrow
        self._top = top
        self._queries = queries
        self.rows = 0
        # For each query: whether it found as many rows as requested, whether others
        # beyond them can be among the best, and the lowest score that it found.
        self._is_full = np.zeros(len(queries), bool)
        self._is_last = np.zeros(len(queries), bool)
        self._lowest = np.full(len(queries), np.inf)
        # Of a narrow step, which finds few: the candidates of each query.
        self._embeddings: list[list[NDArray[np.float32]]] = [[] for _ in queries]

    def take(self, chunk: EmbeddingChunk) -> None:
        """Candidates of some queries, and rows without a vector, for all queries."""
        spares = read_spares(chunk.spares)
        self.rows += len(chunk.ids)
        is_chosen = spares.question >= 0
        if not is_chosen.all():
            self._top.update(_part(chunk, ~is_chosen))
        question, chosen = spares.question[is_chosen], _part(chunk, is_chosen)
        np.minimum.at(self._lowest, question, self._top.consider(question, chosen))
        if self._is_narrow:
            for n, embedding in zip(question.tolist(), chosen.embeddings, strict=True):
                self._embeddings[n].append(embedding)
        self._is_full[question] = spares.is_full[is_chosen]
        self._is_last[question] = spares.is_last[is_chosen]

    def repeats(self, place: int) -> int:
        """Rows per text, if a wider search may help; else 1."""
        rows = self._embeddings[place]
        return _repeats(np.array(rows)) if len(rows) >= TIMES else 1

    def settles(self, place: int) -> bool:
        """Whether no row beyond these can be among the best, as far as an index tells.

        If hundreds of equal texts tie, an index returns some of them; comparing all
        rows for the lowest ids would cost seconds.
        """
        if not self._is_full[place]:
            return self._is_exact
        if self._is_exact and self._is_last[place]:
            return False
        return not self._is_short(place)

    def _is_short(self, place: int) -> bool:
        """Whether rows of previous pages took places of this page."""
        query = self._queries[place]
        if query.constraints.after is None:
            return False
        if len(self._top.result(place)) >= query.top_k:
            return False
        least = query.constraints.min_score
        return least is None or self._lowest[place] > least - HALF_A_DIGIT


def _repeats(embeddings: NDArray[np.float32]) -> int:
    """How many times each text is among these rows, (n, dimension), as a power of two:
    few statements search for many queries. 1 below TIMES; equal rows count once, as a
    node of the graph holds them all.
    """
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = units @ units.T
    first = ~np.tril(cosines > EQUAL, -1).any(axis=1)
    alike = (cosines[first][:, first] > REPEATED).sum(axis=1)
    times = len(alike) / (1 / alike).sum()
    return 1 if times < TIMES else 2 ** math.ceil(math.log2(times))


def _part(chunk: EmbeddingChunk, rows: NDArray[np.bool_]) -> EmbeddingChunk:
    return EmbeddingChunk(chunk.ids[rows], chunk.embeddings[rows])


def _alike(asked: Mapping[int, NearestQuery]) -> Iterable[Mapping[int, NearestQuery]]:
    """Queries in groups of one size and the same conditions."""
    groups: dict[object, dict[int, NearestQuery]] = {}
    for n, near in asked.items():
        groups.setdefault((near.size, near.repeats, near.conditions), {})[n] = near
    return groups.values()

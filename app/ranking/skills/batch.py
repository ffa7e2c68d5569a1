"""One batch: texts -> skills -> scan of skill ids -> top-k -> explanations.

In both directions, from one snapshot of the database.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.encoder import Encoder
from app.errors import AppError
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import BatchObserver, Hit, Outcome, Result, Timings, Volume
from app.ranking.retrieval.scan import scan
from app.ranking.skills.explain import hits
from app.ranking.skills.idf import cached_idf_weights, to_bytes
from app.ranking.skills.methods import Method, RunningTop, ScanGroup
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import (
    SkillMatches,
    SkillQuery,
    distinct_skills,
    length_penalty_of,
    no_skills,
    prepare,
    query_text,
    skill_vectors,
    split_into_scans,
)
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.splitting import split_texts
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.pages import Page, page_of
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.coverage import count_unsplit
from app.storage.entity import EntityTable
from app.storage.skills import SkilledRow, skilled_rows


class SkillBatch:
    """The shared state of the queries of one batch."""

    def __init__(
        self,
        transaction: Transaction,
        encoder: Encoder,
        cache: VocabularyCache,
        scope: BatchScope,
        *,
        key: BatchKey,
        method: Method,
        catalogue: Catalogue,
        observer: BatchObserver | None = None,
    ) -> None:
        self._observer = observer
        self._volume = Volume(rows=0, bytes=0)
        self._transaction = transaction
        self._encoder = encoder
        self._scope = scope
        self._batch_key = key
        self._method = method
        self._jobs, self._users = catalogue.jobs, catalogue.users
        self._target = self._jobs if key.target == "jobs" else self._users
        self._vocabulary = cache.refresh(transaction)

    def rank(self, queries: Sequence[Query]) -> list[Outcome]:
        """The outcome of each query."""
        start = time.perf_counter()
        prepared = self._prepare(queries)
        asked = {n: p for n, p in enumerate(prepared) if isinstance(p, SkillQuery)}
        vectors = self._vectors([each.skills for each in asked.values()])
        texts = self._text_vectors(asked)
        encoded = time.perf_counter()
        found = self._find(queries, asked, vectors, texts)
        pending = count_unsplit(self._transaction, self._target)
        explained = self._explain(asked, vectors, texts, found)
        scanned = time.perf_counter()
        timings = Timings((encoded - start) * 1000, (scanned - encoded) * 1000)
        if self._observer and not self._batch_key.explain_only:
            self._observer.batch_done(len(queries), self._volume, timings)
        none = Result((), 0, timings, message=no_skills(self._batch_key))
        return [
            each
            if isinstance(each, AppError)
            else none
            if each is None
            else Result(
                explained[n],
                found.total,
                timings,
                pending,
                next_cursor=found.cursors.get(n),
            )
            for n, each in enumerate(prepared)
        ]

    def _explain(
        self,
        asked: dict[int, SkillQuery],
        vectors: dict[str, NDArray[np.float32]],
        texts: Mapping[int, NDArray[np.float32]],
        found: SkillMatches,
    ) -> dict[int, list[Hit]]:
        rows = {row.id: row for some in found.rows.values() for row in some}
        split = split_texts(self._transaction, [row.skills for row in rows.values()])
        written = dict(zip(rows, split, strict=True))
        return {
            n: hits(
                query,
                vectors,
                texts[n],
                found.rows[n],
                self._vocabulary,
                written=written,
                weights=found.weights[n],
                length_penalty=length_penalty_of(self._batch_key),
                scores=found.scores.get(n, {}),
            )
            for n, query in asked.items()
        }

    def _prepare(self, queries: Sequence[Query]) -> list[SkillQuery | AppError | None]:
        """The prepared queries; None for a row without skills."""
        side = self._users if self._batch_key.source == "profile" else self._jobs
        keys = [
            None if q.source_id is None else side.id_column.parse(q.source_id)
            for q in queries
        ]
        rows = self._rows(side, list({key for key in keys if key is not None}))
        own = [None if key is None else rows.get(key) for key in keys]
        texts = [query_text(*each) for each in zip(queries, own, strict=True)]
        skills = split_texts(self._transaction, texts)
        return [
            prepare(
                query,
                row,
                some,
                version=self._encoder.version,
                is_state=self._method.is_state,
            )
            for query, row, some in zip(queries, own, skills, strict=True)
        ]

    def _rows(self, side: EntityTable, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        return skilled_rows(self._transaction, side, ids, version=self._encoder.version)

    def _vectors(
        self, skills: Sequence[Sequence[Skill]]
    ) -> dict[str, NDArray[np.float32]]:
        """(384,) float32 for each skill of the queries."""
        keys = list(dict.fromkeys(skill.key for row in skills for skill in row))
        found = skill_vectors(
            self._transaction,
            keys,
            vocabulary=self._vocabulary,
            encoder=self._encoder,
        )
        return dict(zip(keys, found, strict=True))

    def _text_vectors(
        self, asked: dict[int, SkillQuery]
    ) -> dict[int, NDArray[np.float32]]:
        """(384,) float32 for each whole text, by the number of the query."""
        todo = [a.text for a in asked.values() if a.embedding is None]
        encoded = iter(self._encoder.encode(todo) if todo else ())
        return {
            n: next(encoded) if a.embedding is None else a.embedding
            for n, a in asked.items()
        }

    def _find(
        self,
        queries: Sequence[Query],
        asked: dict[int, SkillQuery],
        vectors: dict[str, NDArray[np.float32]],
        texts: Mapping[int, NDArray[np.float32]],
    ) -> SkillMatches:
        if self._batch_key.explain_only:
            return self._named(queries, asked, vectors)
        pages: dict[int, Page] = {}
        weights: dict[int, NDArray[np.float64]] = {}
        total = 0
        for group in split_into_scans(asked):
            top = self._scan(self._group(group, asked, queries, vectors, texts))
            weights |= zip(group, top.weights, strict=True)
            for rank, n in enumerate(group):
                pages[n] = page_of(
                    top.result(rank),
                    queries[n].top_k,
                    self._target.id_column,
                    asked[n].query_hash,
                    ranking_state=to_bytes(top.states[rank]),
                )
            total = top.analyzed
        rows = self._rows(
            self._target, list({id_ for p in pages.values() for id_ in p.ids})
        )
        found = {
            n: [rows[id_] for id_ in page.ids if id_ in rows]
            for n, page in pages.items()
        }
        cursors = {n: page.next_cursor for n, page in pages.items()}
        scores = {n: page.scores for n, page in pages.items()}
        return SkillMatches(found, weights, total, cursors, scores)

    def _named(
        self,
        queries: Sequence[Query],
        asked: dict[int, SkillQuery],
        vectors: dict[str, NDArray[np.float32]],
    ) -> SkillMatches:
        """The rows that the queries name, with the weights of a ranking."""
        ids = {n: list(queries[n].only) for n in asked}
        rows = self._rows(
            self._target, list({id_ for some in ids.values() for id_ in some})
        )
        found = {
            n: [rows[id_] for id_ in some if id_ in rows] for n, some in ids.items()
        }
        weights: dict[int, NDArray[np.float64]] = {}
        for group in split_into_scans(asked):
            wanted, columns = distinct_skills(group, asked, vectors)
            own = cached_idf_weights(self._vocabulary, wanted, columns)
            weights |= zip(group, own, strict=True)
        return SkillMatches(found, weights)

    def _group(
        self,
        group: Sequence[int],
        asked: dict[int, SkillQuery],
        queries: Sequence[Query],
        vectors: dict[str, NDArray[np.float32]],
        texts: Mapping[int, NDArray[np.float32]],
    ) -> ScanGroup:
        wanted, columns = distinct_skills(group, asked, vectors)
        column = self._target.id_column
        skills = SkillQueries(
            vectors=wanted,
            columns=columns,
            # One more than requested, to detect a next page.
            sizes=[queries[n].top_k + 1 for n in group],
            bounds=[Bounds.of(queries[n].constraints, column) for n in group],
            length_penalty=length_penalty_of(self._batch_key),
        )
        return ScanGroup(
            self._batch_key,
            [asked[n] for n in group],
            np.array([texts[n] for n in group], np.float32),
            skills,
            [asked[n].state for n in group],
        )

    def _scan(self, group: ScanGroup) -> RunningTop:
        top = self._method.top(self._vocabulary, group)
        bytes_read = scan(
            partial(
                self._method.stream,
                self._transaction,
                table=self._target,
                key=self._batch_key,
            ),
            partial(self._method.reader, self._target.id_column.kind),
            top.update,
            self._scope,
            buffer_bytes=self._method.buffer_bytes,
        )
        self._volume += Volume(top.analyzed, bytes_read)
        return top

"""One batch: texts -> skills -> scan of skill ids -> top-k -> explanations.

In both directions, from one snapshot of the database.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.encoder import Encoder
from app.errors import AppError
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import BatchObserver, Hit, Outcome, Result, Timings, Volume
from app.ranking.boosting import read_factors
from app.ranking.retrieval.base import EntrySource
from app.ranking.retrieval.snapshot_jobs import SnapshotJobs
from app.ranking.skills.explain import hits
from app.ranking.skills.favours import favoured, reasons_of
from app.ranking.skills.idf import cached_idf_weights, multiplied
from app.ranking.skills.methods import Method
from app.ranking.skills.parse import Skill
from app.ranking.skills.prepare import (
    SkillMatches,
    SkillQuery,
    distinct_skills,
    is_textless,
    length_penalty_of,
    mentioned_before,
    prepare,
    query_text,
    split_into_scans,
    taste_of,
    without_skills,
)
from app.ranking.skills.query_vectors import skill_vectors, text_vectors, whole_vectors
from app.ranking.skills.reading import StoredSkills, read_texts
from app.ranking.skills.search import SkillBatchQueries, SkillSearch
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.ranking.taste import read_pulls
from app.ranking.top_k.factors import RowFactors
from app.storage.catalogue import Catalogue
from app.storage.conditions import check_filters
from app.storage.connection.transaction import Transaction
from app.storage.coverage import count_unsplit, unsplit_ahead
from app.storage.entity import EntityTable
from app.storage.jobs import jobs_by_id
from app.storage.skills import (
    SkilledRow,
    skilled_rows,
    vocabulary_ahead,
    vocabulary_state,
)


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
        entry_source: EntrySource | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._copied = SnapshotJobs(
            transaction, catalogue, key, scope,
            version=encoder.version,
            source=None if key.explain_only else entry_source,
        )  # fmt: skip
        self._observer = observer
        self._volume = Volume(rows=0, bytes=0)
        self._transaction = transaction
        self._encoder = encoder
        self._scope = scope
        self._batch_key = key
        self._method = method
        self._jobs, self._users = catalogue.jobs, catalogue.users
        self._target = self._jobs if key.target == "jobs" else self._users
        self._cache = cache
        vocabulary_ahead(transaction, version=encoder.version)
        unsplit_ahead(transaction, self._target)

    def rank(self, queries: Sequence[Query]) -> list[Outcome]:
        """The outcome of each query."""
        start = time.perf_counter()
        prepared = self._prepare(queries)
        # Not before: the types of the columns come with the rows of the queries.
        check_filters(self._batch_key.filters, self._catalogue.job_columns)
        asked = {n: p for n, p in enumerate(prepared) if isinstance(p, SkillQuery)}
        vectors = self._vectors([each.skills for each in asked.values()])
        profiles = text_vectors(asked, self._encoder)
        wholes = self._whole_vectors(asked, profiles)
        encoded = time.perf_counter()
        batch = SkillBatchQueries(
            queries,
            favoured(asked, vectors, self._vocabulary),
            vectors,
            {n: asked[n].moved(profile) for n, profile in profiles.items()},
            {n: asked[n].moved(whole) for n, whole in wholes.items()},
        )
        found = self._find(batch)
        pending = count_unsplit(self._transaction, self._target)
        explained = self._explain(batch, found, profiles)
        scanned = time.perf_counter()
        timings = Timings((encoded - start) * 1000, (scanned - encoded) * 1000)
        if self._observer and not self._batch_key.explain_only:
            self._observer.batch_done(len(queries), self._volume, timings)
        none = without_skills(self._batch_key, timings)
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
                next_cursor=found.next_cursor(n),
                left_out=len(each.left_out),
                liked=0 if each.pull is None else len(each.pull.liked),
                thresholds=self._thresholds,
            )
            for n, each in enumerate(prepared)
        ]

    def _explain(
        self,
        batch: SkillBatchQueries,
        found: SkillMatches,
        profiles: Mapping[int, NDArray[np.float32]],
    ) -> dict[int, list[Hit]]:
        """The hits of each query. `profiles`: the whole texts before the feedback."""
        rows = {row.id: row for some in found.rows.values() for row in some}
        split = self._lookup.split(
            [row.skills for row in rows.values()], [row.title for row in rows.values()]
        )
        written = dict(zip(rows, split, strict=True))
        return {
            n: hits(
                query,
                batch.vectors,
                batch.texts[n],
                found.rows[n],
                self._vocabulary,
                written=written,
                weights=found.weights[n],
                length_penalty=length_penalty_of(self._batch_key),
                page=found.pages.get(n),
                parts=[found.parts.get((n, row.id)) for row in found.rows[n]],
                reasons=reasons_of(
                    query,
                    found.rows[n],
                    profiles[n],
                    vectors=batch.vectors,
                    weights=found.weights[n],
                    vocabulary=self._vocabulary,
                    by_text=self._method.has_embeddings,
                ),
            )
            for n, query in batch.asked.items()
        }

    def _prepare(self, queries: Sequence[Query]) -> list[SkillQuery | AppError | None]:
        """The prepared queries; None for a row without skills."""
        side = self._users if self._batch_key.source == "profile" else self._jobs
        keys = [
            None if q.source_id is None else side.id_column.parse(q.source_id)
            for q in queries
        ]
        rows = self._rows(side, list({key for key in keys if key is not None}))
        self._read_vocabulary()
        own = [None if key is None else rows.get(key) for key in keys]
        tastes = [taste_of(*each) for each in zip(queries, own, strict=True)]
        # The profile of a user without a text is the text of the liked jobs.
        needs_texts = any(row is not None and is_textless(row) for row in own)
        rows_of = partial(self._rows, self._jobs) if needs_texts else self._copied.rows
        pulls = read_pulls(rows_of, self._jobs.id_column, tastes)
        texts = [query_text(*each) for each in zip(queries, own, pulls, strict=True)]
        before = [mentioned_before(query) for query in queries]
        read = read_texts(texts, before, self._vocabulary, self._lookup)
        return [
            prepare(
                query,
                row,
                some,
                version=self._encoder.version,
                is_state=self._method.is_state,
                pull=pull,
                as_of=taste.as_of,
            )
            for query, row, some, pull, taste in zip(
                queries, own, read, pulls, tastes, strict=True
            )
        ]

    def _read_vocabulary(self) -> None:
        state = vocabulary_state(self._transaction, version=self._encoder.version)
        self._vocabulary = self._cache.refresh(self._transaction, state)
        thresholds = self._vocabulary.calibration.thresholds
        self._thresholds = thresholds.get(self._batch_key.ranking)
        self._lookup = StoredSkills(
            self._transaction, self._vocabulary, has_synonyms=state.has_synonyms
        )

    def _rows(self, side: EntityTable, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        return skilled_rows(self._transaction, side, ids, version=self._encoder.version)

    def _vectors(
        self, skills: Sequence[Sequence[Skill]]
    ) -> dict[str, NDArray[np.float32]]:
        """(dimension,) float32 for each skill of the queries."""
        keys = list(dict.fromkeys(skill.key for row in skills for skill in row))
        found = skill_vectors(
            keys,
            lookup=self._lookup,
            vocabulary=self._vocabulary,
            encoder=self._encoder,
        )
        return dict(zip(keys, found, strict=True))

    def _whole_vectors(
        self, asked: Mapping[int, SkillQuery], texts: dict[int, NDArray[np.float32]]
    ) -> dict[int, NDArray[np.float32]]:
        if not self._method.has_embeddings:
            return texts
        return whole_vectors(asked, texts, self._encoder)

    def _find(self, batch: SkillBatchQueries) -> SkillMatches:
        if self._batch_key.explain_only:
            return self._named(batch)
        entries = self._copied.entries if batch.asked else None
        search = SkillSearch(
            self._transaction,
            self._vocabulary,
            self._scope,
            key=self._batch_key,
            method=self._method,
            target=self._target,
            entries=entries,
            version=self._encoder.version,
            row_factors=self._row_factors() if batch.asked else None,
        )
        found = search.pages(batch)
        self._volume += found.volume
        rows = found.rows if entries is None else self._with_texts(found.rows)
        shown = {
            n: [rows[id_] for id_ in page.ids if id_ in rows]
            for n, page in found.pages.items()
        }
        return SkillMatches(
            shown, found.weights, found.analyzed, found.pages, found.parts
        )

    def _with_texts(self, rows: Mapping[Id, SkilledRow]) -> dict[Id, SkilledRow]:
        """The rows of entries with the fields of `Job`, which only the database has."""
        jobs = jobs_by_id(
            self._transaction,
            list(rows),
            catalogue=self._catalogue,
            # The skills of the texts are compared with the team's synonyms.
            is_last=not self._lookup.has_synonyms,
        )
        return {id_: replace(rows[id_], **vars(job)) for id_, job in jobs.items()}

    def _row_factors(self) -> RowFactors | None:
        return read_factors(
            self._transaction, self._catalogue, self._batch_key, self._scope
        )

    def _named(self, batch: SkillBatchQueries) -> SkillMatches:
        """The rows that the queries name, with the weights of a ranking."""
        ids = {n: list(batch.queries[n].only) for n in batch.asked}
        rows = self._rows(
            self._target, list({id_ for some in ids.values() for id_ in some})
        )
        found = {
            n: [rows[id_] for id_ in some if id_ in rows] for n, some in ids.items()
        }
        weights: dict[int, NDArray[np.float64]] = {}
        for group in split_into_scans(batch.asked):
            wanted, columns = distinct_skills(group, batch.asked, batch.vectors)
            own = cached_idf_weights(self._vocabulary, wanted, columns)
            for n, counted in zip(group, own, strict=True):
                weights[n] = multiplied(counted, batch.asked[n].factors)
        return SkillMatches(found, weights)

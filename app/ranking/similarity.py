"""Ranking by the cosine similarity of whole texts.

One batch: profiles or jobs -> vectors -> search -> top-k -> texts, from one snapshot of
the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.errors import AppError
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Hit, Outcome, Result, Stopwatch
from app.ranking.base import RankingContext
from app.ranking.item_to_item import prepare_jobs
from app.ranking.profiles import (
    NO_SKILLS,
    CosineQuery,
    Prepared,
    prepare_profiles,
)
from app.ranking.retrieval.snapshot_jobs import SnapshotJobs
from app.ranking.similarity_pages import SimilaritySearch
from app.ranking.top_k.pages import Page
from app.storage.catalogue import CachedCatalogue, Catalogue
from app.storage.conditions import check_filters
from app.storage.connection.transaction import Transaction
from app.storage.coverage import CachedCount, count_unembedded
from app.storage.jobs import Job, jobs_by_id
from app.storage.users import users_by_id


class SimilarityRanking:
    """Ranks jobs for a profile, similar jobs, and users for a job."""

    def __init__(self, context: RankingContext) -> None:
        self._context = context
        self._encoder = context.encoder
        self._version = context.encoder.version
        self._pending = CachedCount(self._count_pending)
        self._catalogue = CachedCatalogue(context.job_columns)

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """As `Ranking.rank`."""
        with self._catalogue.forgotten_after_errors():
            return retry_once_if_lost(partial(self._rank, key), queries, scope)

    def _rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        watch = Stopwatch()
        with self._context.database.snapshot(scope.deadline) as transaction:
            catalogue = self._catalogue.read(transaction)
            jobs = SnapshotJobs(
                transaction, catalogue, key, scope,
                version=self._version, source=self._context.entry_source,
            )  # fmt: skip
            prepared = self._prepare(transaction, catalogue, key, queries, jobs)
            # Afterwards: the types of the columns came with the users.
            check_filters(key.filters, catalogue.job_columns)
            valid = {n: p for n, p in enumerate(prepared) if isinstance(p, CosineQuery)}
            with watch("encode"):
                profiles = self._embed(list(valid.values()))
            pending = 0 if key.source == "job" else self._pending(transaction)
            with watch("scan"):
                search = SimilaritySearch(
                    transaction, self._context.retrieval, catalogue, key, scope,
                    jobs=jobs, version=self._version,
                )  # fmt: skip
                pages = search.pages(queries, valid, profiles)
                reasons = _reasons(jobs, valid, profiles, pages)
                texts = self._texts(transaction, catalogue, key, pages)
        if self._context.observer:
            self._context.observer.batch_done(
                len(queries), search.volume, watch.timings()
            )
        none = Result((), 0, watch.timings(), pending)
        return [
            _outcome(
                each,
                none,
                pages.get(n),
                search.analyzed,
                texts,
                reasons=reasons.get(n, {}),
            )
            for n, each in enumerate(prepared)
        ]

    def _count_pending(self, transaction: Transaction) -> int:
        return count_unembedded(transaction, self._catalogue.read(transaction).jobs)

    def _prepare(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        key: BatchKey,
        queries: Sequence[Query],
        jobs: SnapshotJobs,
    ) -> Sequence[Prepared]:
        if key.source == "job":
            return prepare_jobs(transaction, catalogue, queries, version=self._version)
        return prepare_profiles(
            transaction, catalogue, queries, version=self._version, jobs=jobs
        )

    def _embed(self, prepared: Sequence[CosineQuery]) -> NDArray[np.float32]:
        """(q, dimension): stored embeddings, and encoded texts."""
        vectors = [query.vector for query in prepared]
        texts = [vector for vector in vectors if isinstance(vector, str)]
        encoded = iter(self._encoder.encode(texts) if texts else ())
        rows = [next(encoded) if isinstance(v, str) else v for v in vectors]
        return np.array(rows, np.float32).reshape(-1, self._encoder.dimension)

    def _texts(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        key: BatchKey,
        pages: Mapping[int, Page],
    ) -> Mapping[Id, Job]:
        """The texts and columns of the rows, by id."""
        ids = _ids(pages.values())
        if not ids:
            return {}
        if key.target == "jobs":
            return jobs_by_id(transaction, list(ids), catalogue=catalogue, is_last=True)
        users = users_by_id(
            transaction, list(ids), users=catalogue.users, version=self._version
        )
        return {id_: Job(user.skills, None) for id_, user in users.items()}


def _reasons(
    jobs: SnapshotJobs,
    valid: Mapping[int, CosineQuery],
    profiles: NDArray[np.float32],
    pages: Mapping[int, Page],
) -> Mapping[int, Mapping[Id, Id]]:
    """By the number of the query, as `Pull.reasons`. Reads embeddings of the hits only
    of users with feedback.
    """
    pulls = {n: each.pull for n, each in valid.items() if each.pull is not None}
    rows = jobs.rows(list(_ids(pages[n] for n in pulls)))
    profile_of = dict(zip(valid, profiles, strict=True))
    return {
        n: pull.reasons(
            None if valid[n].is_textless else profile_of[n],
            [rows[id_] for id_ in pages[n].ids if id_ in rows],
        )
        for n, pull in pulls.items()
    }


def _ids(pages: Iterable[Page]) -> set[Id]:
    return {id_ for page in pages for id_ in page.ids}


def _outcome(
    prepared: Prepared,
    none: Result,
    page: Page | None,
    analyzed: int,
    texts: Mapping[Id, Job],
    *,
    reasons: Mapping[Id, Id],
) -> Outcome:
    if isinstance(prepared, AppError):
        return prepared
    if isinstance(prepared, str):
        lacks_profile = prepared == NO_SKILLS
        return replace(none, message=prepared, lacks_profile=lacks_profile)
    assert page is not None  # noqa: S101  (whatever has a vector was searched)
    left_out = len(prepared.left_out)
    hits = [
        Hit(
            id_,
            texts[id_].skills,
            scored.score,
            columns=texts[id_].columns,
            because=reasons.get(id_),
            factor=scored.factor,
        )
        for id_, scored in zip(page.ids, page.ranked, strict=True)
        # Without rows that share their id with another row.
        if id_ in texts
    ]
    return replace(
        none,
        hits=hits,
        analyzed=analyzed,
        next_cursor=page.next_cursor,
        left_out=left_out,
    )

"""The pages of the queries of a batch by similarity, from one search or a few."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.query import BatchKey, Query
from app.query.result import Volume
from app.ranking.boosting import read_factors
from app.ranking.item_to_item import without_itself
from app.ranking.profiles import CosineQuery
from app.ranking.retrieval.base import Retrieval, SearchRequest
from app.ranking.retrieval.full_scan import id_column
from app.ranking.retrieval.snapshot_jobs import SnapshotJobs
from app.ranking.skills.distinct import (
    DistinctRequest,
    constraints_of,
    distinct_page,
    next_window,
    window_of,
)
from app.ranking.skills.ranking_state import seen_ids, state_bytes
from app.ranking.skills.traits import read_traits
from app.ranking.top_k.bounds import Scored
from app.ranking.top_k.pages import Page, page_of
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction


class SimilaritySearch:
    """Searches the rows of one table; `analyzed` and `volume` of the last pages."""

    def __init__(
        self,
        transaction: Transaction,
        retrieval: Retrieval,
        catalogue: Catalogue,
        key: BatchKey,
        scope: BatchScope,
        *,
        jobs: SnapshotJobs,
        version: str,
    ) -> None:
        self._jobs = jobs
        self._transaction = transaction
        self._retrieval = retrieval
        self._catalogue = catalogue
        self._key = key
        self._scope = scope
        self._version = version
        self._column = id_column(catalogue, key)
        self.analyzed = 0
        self.volume = Volume(rows=0, bytes=0)

    def pages(
        self,
        queries: Sequence[Query],
        valid: Mapping[int, CosineQuery],
        profiles: NDArray[np.float32],  # (len(valid), dimension), before the feedback
    ) -> dict[int, Page]:
        """The page of each valid query, by its number."""
        pages: dict[int, Page] = {}
        if not valid:
            return pages
        factors = read_factors(
            self._transaction, self._catalogue, self._key, self._scope
        )
        vectors = _moved(profiles, valid)
        windows = {n: window_of(queries[n]) for n in valid}
        entries = self._jobs.entries
        while windows:
            found = self._retrieval.search(
                self._transaction,
                self._catalogue,
                SearchRequest(
                    self._key,
                    [_to_search(queries[n], valid[n], k) for n, k in windows.items()],
                    np.array([vectors[n] for n in windows], np.float32),
                    factors,
                    entries,
                ),
                self._scope,
            )
            self.analyzed = found.analyzed
            # A copy's rows were read once.
            before = Volume(0, 0) if entries else self.volume
            self.volume = before + found.volume
            ranked = dict(zip(windows, found.ranked, strict=True))
            pages |= self._pages(queries, valid, windows, ranked)
            windows = {n: next_window(k) for n, k in windows.items() if n not in pages}
        return pages

    def _pages(
        self,
        queries: Sequence[Query],
        valid: Mapping[int, CosineQuery],
        windows: Mapping[int, int],
        ranked: Mapping[int, Sequence[Scored]],
    ) -> Iterator[tuple[int, Page]]:
        """The pages of those queries whose window was large enough."""
        states = {
            n: replace(valid[n].state, seen=seen_ids(valid[n].state, self._column))
            for n in windows
        }
        varied = {n: queries[n] for n in windows if queries[n].variety}
        traits = read_traits(
            self._transaction,
            self._catalogue.jobs,
            varied,
            {n: ranked[n] for n in varied},
            states,
            version=self._version,
            entries=self._jobs.entries,
        )
        for n, rows in ranked.items():
            query, asked = queries[n], valid[n]
            if n not in traits:
                yield n, self._plain_page(query, asked, rows)
                continue
            page = distinct_page(
                rows,
                DistinctRequest(
                    query.top_k,
                    windows[n],
                    self._column,
                    asked.query_hash,
                    states[n],
                    traits[n],
                    query.variety,
                    is_distinct=False,
                    after=query.constraints.after,
                    hour=self._key.boosts.hour,
                ),
            )
            if page is not None:
                yield n, page

    def _plain_page(
        self, query: Query, asked: CosineQuery, ranked: Sequence[Scored]
    ) -> Page:
        """In the order of the scores."""
        if self._key.source == "job":
            return without_itself(ranked, asked, query.top_k, self._key, self._column)
        return page_of(
            ranked,
            query.top_k,
            self._column,
            asked.query_hash,
            ranking_state=state_bytes(asked.state),
            hour=self._key.boosts.hour,
        )


def _to_search(query: Query, prepared: CosineQuery, window: int) -> Query:
    """Without the jobs that are left out, and with the rows that a page is made of: one
    more than requested detects a next page, or replaces the job itself.
    """
    constraints = constraints_of(query).without(prepared.left_out)
    return replace(query, top_k=window, constraints=constraints)


def _moved(
    profiles: NDArray[np.float32], valid: Mapping[int, CosineQuery]
) -> dict[int, NDArray[np.float32]]:
    """(dimension,) by the number of the query: the profiles after the feedback."""
    return {
        n: profile if each.pull is None else each.pull.moved(profile)
        for profile, (n, each) in zip(profiles, valid.items(), strict=True)
    }

"""The pages of the queries of a batch: groups of them, one scan each or a few."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Parts, Volume
from app.ranking.retrieval.base import Entries
from app.ranking.retrieval.scan import scan
from app.ranking.skills.choice import Traits
from app.ranking.skills.distinct import (
    DistinctRequest,
    constraints_of,
    distinct_page,
    next_window,
    window_of,
)
from app.ranking.skills.methods import Method, RunningTop, ScanGroup
from app.ranking.skills.prepare import (
    SkillQuery,
    distinct_skills,
    length_penalty_of,
    split_into_scans,
)
from app.ranking.skills.ranking_state import RankingState, seen_ids, state_bytes
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.traits import read_traits
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.factors import RowFactors
from app.ranking.top_k.heap import LEAST_SCORE, Scored
from app.ranking.top_k.pages import Page, page_of
from app.storage.connection.transaction import Transaction
from app.storage.copy.skill_ids import EntryChunk
from app.storage.entity import EntityTable
from app.storage.skills import NO_SKILL, SkilledRow, skilled_rows


@dataclass(frozen=True)
class SkillBatchQueries:
    """What a batch looks for.

    `asked`: by the number of the query, of those that look for something. `vectors`:
    (dimension,) float32 by the key of a skill; `texts`: likewise of whole texts, by
    number, as every ranking compares them; `wholes`: of long ones to their end.
    """

    queries: Sequence[Query]
    asked: dict[int, SkillQuery]
    vectors: dict[str, NDArray[np.float32]]
    texts: Mapping[int, NDArray[np.float32]]
    wholes: Mapping[int, NDArray[np.float32]]


@dataclass
class SkillPages:
    """What was found, by the number of the query; `analyzed`: rows compared.

    `rows`: those of all pages, by id, without texts if entries were given. `parts`: of
    the scores, by number and id.
    """

    pages: dict[int, Page] = field(default_factory=dict)
    rows: dict[Id, SkilledRow] = field(default_factory=dict)
    parts: dict[tuple[int, Id], Parts | None] = field(default_factory=dict)
    weights: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    analyzed: int = 0
    volume: Volume = field(default_factory=lambda: Volume(rows=0, bytes=0))


class SkillSearch:
    """Ranks the rows of one table by one method."""

    def __init__(
        self,
        transaction: Transaction,
        vocabulary: Vocabulary,
        scope: BatchScope,
        *,
        key: BatchKey,
        method: Method,
        target: EntityTable,
        version: str,
        entries: Entries | None = None,
        row_factors: RowFactors | None = None,
    ) -> None:
        """`entries`: the rows; without, they are streamed. `row_factors`: of scores."""
        self._entries = entries
        self._row_factors = row_factors
        self._transaction = transaction
        self._vocabulary = vocabulary
        self._scope = scope
        self._key = key
        self._method = method
        self._target = target
        self._version = version

    def pages(self, batch: SkillBatchQueries) -> SkillPages:
        """A page of each query, of distinct rows where it asks for these."""
        found = SkillPages()
        groups = split_into_scans(batch.asked, most_skills=self._method.scan_skills)
        for group in groups:
            windows = {n: window_of(batch.queries[n]) for n in group}
            while windows:
                top = self._scan(self._group(windows, batch), found)
                found.weights |= zip(windows, top.weights, strict=True)
                found.pages |= dict(self._pages(top, windows, batch))
                self._add_rows(found, top, list(windows), batch)
                windows = {
                    n: next_window(window)
                    for n, window in windows.items()
                    if n not in found.pages
                }
        return found

    def _add_rows(
        self,
        found: SkillPages,
        top: RunningTop,
        numbers: Sequence[int],
        batch: SkillBatchQueries,
    ) -> None:
        """Read the rows of these queries' pages, and the parts of their scores."""
        pages = {n: found.pages[n] for n in numbers if n in found.pages}
        new = {id_ for page in pages.values() for id_ in page.ids} - found.rows.keys()
        found.rows |= self._rows(list(new))
        for n, page in pages.items():
            rows = [found.rows[id_] for id_ in page.ids if id_ in found.rows]
            if rows:
                chunk = _chunk_of(rows, dimension=len(batch.texts[n]))
                parts = top.parts(numbers.index(n), chunk)
                keys = [(n, row.id) for row in rows]
                found.parts |= zip(keys, parts, strict=True)

    def _rows(self, ids: Sequence[Id]) -> dict[Id, SkilledRow]:
        if self._entries is not None:
            return self._entries.rows(ids)
        return skilled_rows(self._transaction, self._target, ids, version=self._version)

    def _pages(
        self, top: RunningTop, windows: Mapping[int, int], batch: SkillBatchQueries
    ) -> Iterator[tuple[int, Page]]:
        """The pages of those queries whose window was large enough, by number."""
        ranked = {n: top.result(place) for place, n in enumerate(windows)}
        states = {
            n: self._state(batch.asked[n], values)
            for n, values in zip(windows, top.states, strict=True)
        }
        traits = self._traits(batch.queries, ranked, states)
        for n, window in windows.items():
            query, asked = batch.queries[n], batch.asked[n]
            column = self._target.id_column
            page: Page | None
            if n in traits:
                page = distinct_page(
                    ranked[n],
                    DistinctRequest(
                        query.top_k,
                        window,
                        column,
                        asked.query_hash,
                        states[n],
                        traits[n],
                        query.variety,
                        is_distinct=query.distinct,
                        after=query.constraints.after,
                        hour=self._key.boosts.hour,
                    ),
                )
            else:
                page = page_of(
                    ranked[n],
                    query.top_k,
                    column,
                    asked.query_hash,
                    ranking_state=state_bytes(states[n]),
                    hour=self._key.boosts.hour,
                )
            if page is not None:
                yield n, page

    def _state(self, asked: SkillQuery, values: NDArray[np.float64]) -> RankingState:
        """That of the next page, before the rows of this one."""
        return RankingState(
            values,
            seen_ids(asked.state, self._target.id_column),
            asked.read.mentioned,
            asked.as_of,
            () if asked.state is None else asked.state.shown,
        )

    def _traits(
        self,
        queries: Sequence[Query],
        ranked: Mapping[int, Sequence[Scored]],
        states: Mapping[int, RankingState],
    ) -> Mapping[int, Traits]:
        """Of the queries whose rows are chosen."""
        some = {
            n: queries[n] for n in ranked if queries[n].distinct or queries[n].variety
        }
        return read_traits(
            self._transaction,
            self._target,
            some,
            {n: ranked[n] for n in some},
            states,
            version=self._version,
            entries=self._entries,
        )

    def _group(self, windows: Mapping[int, int], batch: SkillBatchQueries) -> ScanGroup:
        wanted, columns = distinct_skills(list(windows), batch.asked, batch.vectors)
        states = [batch.asked[n].state for n in windows]
        skills = SkillQueries(
            vectors=wanted,
            columns=columns,
            sizes=list(windows.values()),
            bounds=[self._bounds(batch.queries[n], batch.asked[n]) for n in windows],
            length_penalty=length_penalty_of(self._key),
            factors=[batch.asked[n].factors for n in windows],
            row_factors=self._row_factors,
        )
        return ScanGroup(
            self._key,
            [batch.asked[n] for n in windows],
            np.array([batch.wholes[n] for n in windows], np.float32),
            skills,
            [None if state is None else state.values for state in states],
        )

    def _bounds(self, query: Query, asked: SkillQuery) -> Bounds:
        """A row that has nothing of what is asked for is never recommended."""
        constraints = constraints_of(query).without(asked.left_out)
        bounds = Bounds.of(constraints, self._target.id_column)
        return replace(bounds, least=max(bounds.least, LEAST_SCORE))

    def _scan(self, group: ScanGroup, found: SkillPages) -> RunningTop:
        top = self._method.top(self._vocabulary, group)
        if self._entries is not None:
            self._entries.feed(top.update, has_embeddings=self._method.has_embeddings)
            found.analyzed, found.volume = top.analyzed, self._entries.volume
            return top
        bytes_read = scan(
            partial(
                self._method.stream,
                self._transaction,
                table=self._target,
                key=self._key,
            ),
            partial(self._method.reader, self._target.id_column.kind),
            top.update,
            self._scope,
            buffer_bytes=self._method.buffer_bytes,
        )
        found.analyzed = top.analyzed
        found.volume += Volume(top.analyzed, bytes_read)
        return top


def _chunk_of(rows: Sequence[SkilledRow], *, dimension: int) -> EntryChunk:
    """Rows as `stream_entries` streams them, with their places as ids."""
    no_skills = np.array([NO_SKILL], np.int32)
    lists = [
        no_skills if r.skill_ids is None or not len(r.skill_ids) else r.skill_ids
        for r in rows
    ]
    sizes = [len(own) for own in lists]
    zeros = np.zeros(dimension, np.float32)
    return EntryChunk(
        np.arange(len(rows)),
        np.concatenate(lists),
        np.cumsum([0, *sizes[:-1]]),
        np.stack([zeros if r.embedding is None else r.embedding for r in rows]),
    )

"""Jobs for users of whom nothing is known: no text, and no job that they saved.

The jobs to which most users applied come first; of equal ones the newest by the column
of the freshness, then the one with the last id, which is the newest if ids rise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.errors import AppError, InvalidInputError, UserNotFoundError
from app.query import cursor
from app.query.constraints import CursorPosition
from app.query.ids import Id, IdColumn
from app.query.query import BatchKey, Query
from app.query.result import Hit, Outcome, Result, Timings
from app.ranking.base import RankingContext
from app.ranking.profiles import NO_STATE
from app.ranking.skills.choice import Traits
from app.ranking.skills.distinct import (
    DistinctRequest,
    distinct_page,
    first_window,
    next_window,
)
from app.ranking.skills.ranking_state import read_state, seen_ids
from app.ranking.top_k.bounds import Scored
from app.storage.catalogue import Catalogue
from app.storage.connection.transaction import Transaction
from app.storage.job_traits import values_by_id
from app.storage.jobs import Job, jobs_by_id
from app.storage.popularity import AppliedJob, most_applied
from app.storage.users import User, users_by_id

POPULAR = (
    "This user has no skills and no saved jobs yet: these are the jobs to which most"
    " users applied, and the newest."
)
NO_TIME = Timings(0.0, 0.0)

# A page, or the error of its query.
_Page = tuple[Sequence[AppliedJob], str | None] | AppError


class PopularJobs:
    """A `Ranking` without scores, for queries of users."""

    def __init__(self, context: RankingContext) -> None:
        self._context = context

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """As `Ranking.rank`."""
        return retry_once_if_lost(partial(self._rank, key), queries, scope)

    def _rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        context = self._context
        with context.database.snapshot(scope.deadline) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=context.job_columns)
            users = self._users(transaction, catalogue, queries)
            pages = [
                _page(transaction, catalogue, key, query, user)
                for query, user in zip(queries, users, strict=True)
            ]
            found = {
                job.id for page in pages if isinstance(page, tuple) for job in page[0]
            }
            texts = jobs_by_id(transaction, list(found), catalogue=catalogue)
        return [
            page if isinstance(page, AppError) else _result(*page, texts)
            for page in pages
        ]

    def _users(
        self, transaction: Transaction, catalogue: Catalogue, queries: Sequence[Query]
    ) -> list[User | None]:
        column = catalogue.user_id
        keys = [None if q.source_id is None else column.parse(q.source_id)
                for q in queries]  # fmt: skip
        found = users_by_id(
            transaction,
            [key for key in keys if key is not None],
            users=catalogue.users,
            version=self._context.encoder.version,
        )
        return [None if key is None else found.get(key) for key in keys]


def _page(
    transaction: Transaction,
    catalogue: Catalogue,
    key: BatchKey,
    query: Query,
    user: User | None,
) -> _Page:
    """One page, and the cursor of the next one."""
    if user is None:  # deleted in between
        return UserNotFoundError("No user has this user_id.")
    user_id = catalogue.user_id.parse(query.source_id or "")
    query_hash = cursor.query_hash(
        "popular", user_id, key.filters, key.boosts.freshness, query.variety.max_per
    )
    after = query.constraints.after
    try:
        cursor.check(after, query_hash)
    except InvalidInputError as error:
        return error
    constraints = query.constraints.without(user.feedback.left_out)
    excluded = {catalogue.job_id.parse(id_) for id_ in constraints.exclude}

    def best(count: int) -> list[AppliedJob]:
        ranked = most_applied(
            transaction,
            catalogue,
            filters=key.filters,
            newest=key.boosts.freshness,
            after=_after(catalogue, after),
            limit=count + len(excluded),
        )
        return [job for job in ranked if job.id not in excluded][:count]

    if query.variety.max_per:
        return _varied_page(transaction, catalogue, query, query_hash, best)
    left = best(query.top_k + 1)
    shown = left[: query.top_k]
    if len(left) <= query.top_k:
        return shown, None
    end = shown[-1]
    last = CursorPosition(float(end.users), end.newest, end.id)
    return shown, cursor.to_text(last, query_hash)


def _varied_page(
    transaction: Transaction,
    catalogue: Catalogue,
    query: Query,
    query_hash: bytes,
    best: Callable[[int], list[AppliedJob]],
) -> _Page:
    """A page with few jobs of each value. Without scores a diversity has no effect."""
    column, after = catalogue.job_id, query.constraints.after
    state = (read_state(after.ranking_state) if after else None) or NO_STATE
    state = replace(state, seen=seen_ids(state, column))
    variety = replace(query.variety, diversity=0.0)
    window = first_window(query.top_k)
    while True:
        jobs = {job.id: job for job in best(window)}
        values = values_by_id(
            transaction,
            catalogue.jobs,
            [*jobs, *state.seen],
            columns=[name for name, _ in variety.max_per],
        )
        page = distinct_page(
            [_scored(job, column) for job in jobs.values()],
            DistinctRequest(
                query.top_k,
                window,
                column,
                query_hash,
                state,
                Traits(values=values),
                variety,
                is_distinct=False,
                after=after,
            ),
        )
        if page is not None:
            return [jobs[id_] for id_ in page.ids], page.next_cursor
        window = next_window(window)


def _scored(job: AppliedJob, column: IdColumn) -> Scored:
    return Scored(column.to_stream(job.id), float(job.users), job.newest)


def _after(catalogue: Catalogue, position: CursorPosition | None) -> AppliedJob | None:
    if position is None:
        return None
    id_ = catalogue.job_id.parse(position.id)
    return (
        None if id_ is None else AppliedJob(id_, int(position.score), position.second)
    )


def _result(
    shown: Sequence[AppliedJob], next_cursor: str | None, texts: Mapping[Id, Job]
) -> Result:
    hits = [
        Hit(job.id, texts[job.id].skills, None, columns=texts[job.id].columns)
        for job in shown
        # Without rows that share their id with another row.
        if job.id in texts
    ]
    return Result(hits, 0, NO_TIME, message=POPULAR, next_cursor=next_cursor)

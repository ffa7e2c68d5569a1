"""The story of an answer: text -> embedding -> scan -> top-N -> answer.

One call answers all questions of a pass from one snapshot of the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.encoder import Encoder
from app.errors import AppError, InconclusiveError, InvalidInputError, UserNotFoundError
from app.query import cursor
from app.query.ids import Id, IdColumn
from app.query.query import Question
from app.query.result import Answer, BatchObserver, Recommendation, Stopwatch
from app.ranking.retrieval.base import Found, Search
from app.ranking.top_k.pages import Page, page_of
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.transaction import Transaction
from app.storage.coverage import CachedCount, count_unembedded
from app.storage.jobs import Job, jobs_by_id
from app.storage.tables import JOBS
from app.storage.users import User, users_by_id

NO_SKILLS = "This user has no skills to match."

# What is compared with the jobs: a text, or a user's stored embedding, (384,) float32.
Query = str | NDArray[np.float32]


@dataclass(frozen=True)
class Wanted:
    """What a question looks for; the query_hash is that of its cursors."""

    query: Query
    query_hash: bytes


class Recommender:
    """Answers questions from the database. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        search: Search,
        *,
        observer: BatchObserver | None = None,
        job_columns: Sequence[str] = (),
    ) -> None:
        """`job_columns`: the names of JOB_COLUMNS."""
        self._database = database
        self._encoder = encoder
        self._search = search
        self._observer = observer
        self._job_columns = job_columns
        self._pending = CachedCount(
            partial(count_unembedded, table=JOBS, version=encoder.version)
        )
        # Two threads may both read it at first; they read the same.
        self._catalogue: Catalogue | None = None

    def answer_all(
        self, questions: Sequence[Question], scope: BatchScope
    ) -> Sequence[Answer | AppError]:
        """An answer, or the error that is its own, for each question.

        Raises an error that concerns them all: the database, the deadline, the
        model.
        """
        try:
            return retry_once_if_lost(self._pass, questions, scope)
        except AppError:
            # A column may have changed its type since the catalogue was read.
            self._catalogue = None
            raise

    def _pass(
        self, questions: Sequence[Question], scope: BatchScope
    ) -> Sequence[Answer | AppError]:
        watch = Stopwatch()
        with self._database.snapshot(scope.deadline) as transaction:
            catalogue = self._read_catalogue(transaction)
            looked_up = self._look_up(transaction, questions, catalogue)
            wanted = {n: w for n, w in enumerate(looked_up) if isinstance(w, Wanted)}
            with watch("encode"):
                queries = self._embed([each.query for each in wanted.values()])
            pending = self._pending(transaction)
            with watch("scan"):
                found = self._search.best(
                    transaction,
                    catalogue,
                    [_one_more(questions[n]) for n in wanted],
                    queries,
                    scope,
                    shows=True,
                )
                pages = _pages(questions, wanted, found, catalogue.job_id)
                jobs = _jobs(transaction, catalogue, pages.values(), found.jobs)
        if self._observer:
            self._observer.batch_done(len(questions), found.volume, watch.timings())
        none = Answer((), 0, pending, watch.timings(), NO_SKILLS)
        answered = {
            n: replace(
                none,
                recommendations=_recommendations(page, jobs),
                total_jobs_analyzed=found.analyzed,
                note=None,
                next_cursor=page.next_cursor,
            )
            for n, page in pages.items()
        }
        return [
            each
            if isinstance(each, AppError)
            else none
            if each is None
            else answered.get(n) or InconclusiveError()
            for n, each in enumerate(looked_up)
        ]

    def _read_catalogue(self, transaction: Transaction) -> Catalogue:
        # Other columns than those that the service needs may come and go.
        if self._catalogue is None or self._job_columns:
            self._catalogue = Catalogue.read(transaction, job_columns=self._job_columns)
        return self._catalogue

    def _look_up(
        self,
        transaction: Transaction,
        questions: Sequence[Question],
        catalogue: Catalogue,
    ) -> list[Wanted | AppError | None]:
        """What each question looks for; None for a user whose row has no text."""
        keys = [
            None if q.user_id is None else catalogue.user_id.parse(q.user_id)
            for q in questions
        ]
        ids = {key for key in keys if key is not None}
        version = self._encoder.version
        found = (
            users_by_id(transaction, list(ids), catalogue=catalogue, version=version)
            if ids
            else {}
        )
        return [
            _wanted(question, key, found, version)
            for question, key in zip(questions, keys, strict=True)
        ]

    def _embed(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """(q, 384): stored embeddings as they are, texts encoded."""
        texts = [query for query in queries if isinstance(query, str)]
        encoded = iter(self._encoder.encode(texts) if texts else ())
        rows = [next(encoded) if isinstance(q, str) else q for q in queries]
        return np.array(rows, np.float32).reshape(-1, self._encoder.dimension)


def _wanted(
    question: Question, key: Id | None, found: Mapping[Id, User], version: str
) -> Wanted | AppError | None:
    query: Query
    if question.skills is not None:
        text = query = question.skills
    elif key is None or key not in found:
        return UserNotFoundError("No user has this user_id.")
    else:
        user = found[key]
        if not user.skills or not user.skills.strip():
            return None
        text = user.skills
        query = text if user.embedding is None else user.embedding
    constraints = question.constraints
    query_hash = cursor.query_hash(
        "similarity", version, key, text, constraints.scan_key
    )
    try:
        cursor.check(constraints.after, query_hash)
    except InvalidInputError as error:
        return error
    return Wanted(query, query_hash)


def _one_more(question: Question) -> Question:
    """One more than is shown tells whether there is a next page."""
    return replace(question, top_n=question.top_n + 1)


def _pages(
    questions: Sequence[Question],
    wanted: Mapping[int, Wanted],
    found: Found,
    column: IdColumn,
) -> dict[int, Page]:
    """Those of the questions that are answered."""
    return {
        n: page_of(ranked, questions[n].top_n, column, wanted[n].query_hash)
        for place, (n, ranked) in enumerate(zip(wanted, found.ranked, strict=True))
        if place not in found.inconclusive
    }


def _jobs(
    transaction: Transaction,
    catalogue: Catalogue,
    pages: Iterable[Page],
    known: Mapping[Id, Job],
) -> Mapping[Id, Job]:
    ids = {id_ for page in pages for id_ in page.ids} - known.keys()
    if not ids:
        return known
    return {**known, **jobs_by_id(transaction, list(ids), catalogue=catalogue)}


def _recommendations(page: Page, jobs: Mapping[Id, Job]) -> list[Recommendation]:
    return [
        Recommendation(id_, scored.score, jobs[id_].skills, jobs[id_].columns)
        for id_, scored in zip(page.ids, page.ranked, strict=True)
    ]

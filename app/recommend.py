"""The story of an answer: text -> embedding -> scan -> top-N -> answer.

One call answers all questions of a pass from one snapshot of the database.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.errors import AppError, UserNotFoundError
from app.questions import (
    Answer,
    PassObserver,
    Question,
    Recommendation,
    Stopwatch,
    Timings,
)
from app.scan.best import Scored
from app.scan.passes import PassScope, again_if_lost
from app.search.backend import Found, Search
from app.storage.catalogue import Catalogue
from app.storage.coverage import RememberedCount
from app.storage.database import Database, Transaction
from app.storage.ids import Id
from app.storage.jobs import job_texts
from app.storage.tables import JOBS
from app.storage.users import User, users_by_id

# What is compared with the jobs: a text, or a user's stored embedding, (384,) float32.
Query = str | NDArray[np.float32]


class Recommender:
    """Answers questions from the database. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        search: Search,
        *,
        observer: PassObserver | None = None,
    ) -> None:
        self._database = database
        self._encoder = encoder
        self._search = search
        self._observer = observer
        self._pending = RememberedCount(JOBS, version=encoder.version)
        # Two threads may both read it at first; they read the same.
        self._catalogue: Catalogue | None = None

    def answer_all(
        self, questions: Sequence[Question], scope: PassScope
    ) -> Sequence[Answer | AppError]:
        """An answer, or the error that is its own, for each question.

        Raises an error that concerns them all: the database, the deadline, the
        model.
        """
        try:
            return again_if_lost(self._pass, questions, scope)
        except AppError:
            # A column may have changed its type since the catalogue was read.
            self._catalogue = None
            raise

    def _pass(
        self, questions: Sequence[Question], scope: PassScope
    ) -> Sequence[Answer | AppError]:
        watch = Stopwatch()
        with self._database.snapshot(scope.deadline) as transaction:
            catalogue = self._read_catalogue(transaction)
            looked_up = self._look_up(transaction, questions, catalogue)
            wanted = {
                index: query
                for index, query in enumerate(looked_up)
                if isinstance(query, str | np.ndarray)
            }
            asked = list(wanted)
            with watch("encode"):
                queries = self._embed(list(wanted.values()))
            pending = self._pending(transaction)
            with watch("scan"):
                found = self._search.best(
                    transaction,
                    catalogue,
                    [questions[index] for index in asked],
                    queries,
                    scope,
                )
                skills = self._skills(transaction, catalogue, found)
        if self._observer:
            self._observer.pass_done(len(questions), found.volume, watch.timings())
        ranked = dict(zip(asked, found.ranked, strict=True))
        return [
            query
            if isinstance(query, AppError)
            else _answer(
                ranked.get(index),
                found.analyzed,
                skills,
                catalogue,
                watch.timings(),
                pending=pending,
            )
            for index, query in enumerate(looked_up)
        ]

    def _read_catalogue(self, transaction: Transaction) -> Catalogue:
        if self._catalogue is None:
            self._catalogue = Catalogue.read(transaction)
        return self._catalogue

    def _look_up(
        self,
        transaction: Transaction,
        questions: Sequence[Question],
        catalogue: Catalogue,
    ) -> list[Query | AppError | None]:
        """The query of each question; None for a user whose row has no text."""
        keys = [
            None if q.user_id is None else catalogue.user_id.parse(q.user_id)
            for q in questions
        ]
        wanted = {key for key in keys if key is not None}
        found = (
            users_by_id(
                transaction,
                list(wanted),
                catalogue=catalogue,
                version=self._encoder.version,
            )
            if wanted
            else {}
        )
        return [
            _query(question, key, found)
            for question, key in zip(questions, keys, strict=True)
        ]

    def _embed(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """(q, 384): stored embeddings as they are, texts encoded."""
        texts = [query for query in queries if isinstance(query, str)]
        encoded = iter(self._encoder.encode(texts) if texts else ())
        rows = [next(encoded) if isinstance(q, str) else q for q in queries]
        return np.array(rows, np.float32).reshape(-1, self._encoder.dimension)

    def _skills(
        self,
        transaction: Transaction,
        catalogue: Catalogue,
        found: Found,
    ) -> dict[Id, str | None]:
        ids = {
            catalogue.job_id.from_stream(job.id)
            for jobs in found.ranked
            for job in jobs
        }
        return job_texts(transaction, list(ids), job_id=catalogue.job_id) if ids else {}


def _query(
    question: Question, key: Id | None, found: dict[Id, User]
) -> Query | AppError | None:
    if question.skills is not None:
        return question.skills
    if key is None or key not in found:
        return UserNotFoundError("No user has this user_id.")
    user = found[key]
    if not user.skills or not user.skills.strip():
        return None
    return user.skills if user.embedding is None else user.embedding


def _answer(
    ranked: Sequence[Scored] | None,
    analyzed: int,
    skills: dict[Id, str | None],
    catalogue: Catalogue,
    timings: Timings,
    *,
    pending: int,
) -> Answer:
    if ranked is None:
        note = "This user has no skills to match."
        return Answer((), 0, pending, timings, note=note)
    ids = [catalogue.job_id.from_stream(job.id) for job in ranked]
    return Answer(
        recommendations=[
            Recommendation(id_, job.score, skills[id_])
            for id_, job in zip(ids, ranked, strict=True)
        ],
        total_jobs_analyzed=analyzed,
        total_jobs_pending=pending,
        timings=timings,
    )

"""Answers questions by skills from the database: the counterpart of `Recommender`."""

from collections.abc import Sequence
from pathlib import Path

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.encoder import Encoder
from app.errors import AppError
from app.query.query import SkillQuestion
from app.query.result import BatchObserver, SkillAnswer
from app.ranking.skills.batch import SkillBatch
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database


class SkillRanker:
    """Answers questions by skills. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        *,
        cache_folder: Path,
        observer: BatchObserver | None = None,
        job_columns: Sequence[str] = (),
    ) -> None:
        """`job_columns`: the names of JOB_COLUMNS."""
        self._database = database
        self._encoder = encoder
        self._observer = observer
        self._job_columns = job_columns
        self._cache = VocabularyCache(cache_folder, version=encoder.version)

    def answer_all(
        self, questions: Sequence[SkillQuestion], scope: BatchScope
    ) -> Sequence[SkillAnswer | AppError]:
        """An answer, or the error that is its own, for each question, all of one
        `batch_key`. Errors that concern all are raised, as `Recommender.answer_all`
        does, and a lost connection is replaced once as there.
        """
        return retry_once_if_lost(self._pass, questions, scope)

    def _pass(
        self, questions: Sequence[SkillQuestion], scope: BatchScope
    ) -> Sequence[SkillAnswer | AppError]:
        with self._database.snapshot(scope.deadline) as transaction:
            catalogue = Catalogue.read(transaction, job_columns=self._job_columns)
            run = SkillBatch(
                transaction,
                self._encoder,
                self._cache,
                scope,
                catalogue=catalogue,
                observer=self._observer,
            )
            return run.answers(questions)

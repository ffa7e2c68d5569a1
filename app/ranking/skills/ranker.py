"""Ranking by skills, with explanations."""

from collections.abc import Sequence
from functools import partial

from app.batching.batcher import BatchScope, retry_once_if_lost
from app.query.query import BatchKey, Query
from app.query.result import Outcome
from app.ranking.base import RankingContext
from app.ranking.skills.batch import SkillBatch
from app.ranking.skills.methods import BySkills, Method
from app.ranking.skills.vocabulary_cache import VocabularyCache
from app.storage.catalogue import CachedCatalogue


class SkillRanking:
    """Ranks jobs for a profile, and users for a job, by skills.

    `method`: how rows are read and scored.
    """

    def __init__(self, context: RankingContext, method: Method | None = None) -> None:
        self._context = context
        self._method = method or BySkills()
        self._catalogue = CachedCatalogue(context.job_columns)
        self._cache = VocabularyCache(
            context.skill_cache_dir, version=context.encoder.version
        )

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """As `Ranking.rank`."""
        with self._catalogue.forgotten_after_errors():
            return retry_once_if_lost(partial(self._rank, key), queries, scope)

    def _rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        context = self._context
        with context.database.snapshot(scope.deadline) as transaction:
            catalogue = self._catalogue.read(transaction)
            batch = SkillBatch(
                transaction,
                context.encoder,
                self._cache,
                scope,
                key=key,
                method=self._method,
                catalogue=catalogue,
                observer=context.observer,
                entry_source=context.entry_source,
            )
            return batch.rank(queries)

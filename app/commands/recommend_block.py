"""Recommend jobs to one block of users: one scan of the jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.batching.batcher import BatchScope
from app.config import Settings
from app.deadline import Deadline
from app.encoder import Encoder
from app.errors import UserNotFoundError
from app.query.boosts import current_hour
from app.query.constraints import Constraints
from app.query.ids import Id
from app.query.query import BatchKey, Query
from app.query.result import Outcome
from app.query.variety import NO_VARIETY, Variety
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher, result_of
from app.ranking.registry import RANKINGS, build_rankings
from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database
from app.storage.connection.model_snapshots import ModelSnapshots
from app.storage.recommendations import StoredRecommendation

BLOCK_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class QueryTemplate:
    """The query of each user, without the user."""

    key: BatchKey
    top_k: int
    constraints: Constraints
    variety: Variety = NO_VARIETY

    def of(self, user_id: Id, hour: int) -> Query:
        """The query; `hour`: to which the ages of jobs are counted."""
        return Query(
            replace(self.key, boosts=self.key.boosts.at(hour)),
            self.top_k,
            user_id,
            constraints=self.constraints,
            distinct=RANKINGS[self.key.ranking].is_distinct,
            variety=self.variety,
        )


@dataclass(frozen=True)
class RecommendedBlock:
    """The users of one block, and the rows of those who have any."""

    users: Sequence[Id]
    rows: Sequence[StoredRecommendation]


class BlockRecommender:
    """Answers one block after another by the model of `encoder`."""

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        template: QueryTemplate,
        *,
        settings: Settings,
        job_columns: Sequence[str],
    ) -> None:
        """`job_columns`: those that the filters of `template` may name."""
        self._template = template
        self._dispatcher = Dispatcher(
            build_rankings(
                RankingContext(
                    ModelSnapshots(database, encoder.version),
                    encoder,
                    FullScan(
                        version=encoder.version,
                        scan_chunk_rows=settings.scan_chunk_rows,
                    ),
                    settings.skill_cache_dir,
                    job_columns=job_columns,
                )
            )
        )

    def run(self, users: Sequence[Id]) -> RecommendedBlock:
        """Recommend to these users, in one snapshot of the database."""
        scope = BatchScope(block_deadline(), lambda: False)
        hour = current_hour()
        queries = [self._template.of(user, hour) for user in users]
        outcomes = self._dispatcher.run(queries, scope)
        rows = [
            row
            for user, outcome in zip(users, outcomes, strict=True)
            for row in _rows(user, outcome)
        ]
        return RecommendedBlock(users, rows)


def block_deadline() -> Deadline:
    """The deadline of reading and answering one block."""
    return Deadline.after(BLOCK_TIMEOUT_S)


def _rows(user: Id, outcome: Outcome) -> Iterator[StoredRecommendation]:
    if isinstance(outcome, UserNotFoundError):
        return  # deleted since the block was read
    for rank, hit in enumerate(result_of(outcome).hits, start=1):
        yield StoredRecommendation(
            user, rank, hit.id, hit.similarity_score, hit.match_score
        )

"""The rankings by one model, whether it is in use or not."""

from collections.abc import Sequence
from pathlib import Path

from app.batching.batcher import BatchScope
from app.commands.calibration.labels import FIRST_PAGE, Question
from app.deadline import Deadline
from app.encoder import Encoder
from app.errors import UserNotFoundError
from app.query.query import BatchKey, Query
from app.query.result import Hit
from app.ranking.base import RankingContext
from app.ranking.dispatch import result_of
from app.ranking.registry import RANKINGS, build_rankings
from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database

BATCH = 20
BATCH_TIMEOUT_S = 600.0
SCANNED_ROWS = 1000


class ModelRankings:
    """Answers questions as the service would after a switch."""

    def __init__(self, database: Database, encoder: Encoder, folder: Path) -> None:
        """`folder`: where its vocabulary may lie, of this model alone."""
        scan = FullScan(version=encoder.version, scan_chunk_rows=SCANNED_ROWS)
        context = RankingContext(database, encoder, scan, folder)
        self._rankings = build_rankings(context)

    def hits(self, ranking: str, questions: Sequence[Question]) -> list[Sequence[Hit]]:
        """The ten best jobs of each question; none for a user who is not there."""
        key = BatchKey(ranking)
        queries = [
            Query(
                key,
                FIRST_PAGE,
                question.user_id,
                question.text,
                distinct=RANKINGS[ranking].is_distinct,
            )
            for question in questions
        ]
        found: list[Sequence[Hit]] = []
        for start in range(0, len(queries), BATCH):
            scope = BatchScope(Deadline.after(BATCH_TIMEOUT_S), lambda: False)
            part = queries[start : start + BATCH]
            for outcome in self._rankings[ranking].rank(key, part, scope):
                missing = isinstance(outcome, UserNotFoundError)
                found.append(() if missing else result_of(outcome).hits)
        return found

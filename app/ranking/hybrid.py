"""Hybrid ranking: whole texts, skills and words in one score, with explanations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.encoder.wrapper import Described
from app.query.ids import Kind
from app.query.query import BatchKey
from app.ranking.base import RankingContext
from app.ranking.hybrid_state import is_state
from app.ranking.hybrid_top_k import HybridTopK
from app.ranking.skills.methods import RunningTop, ScanGroup
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.prose import MAX_QUERY_SKILLS
from app.ranking.skills.ranker import SkillRanking
from app.ranking.skills.vocabulary import Vocabulary
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.embeddings import CopyReader
from app.storage.copy.skill_ids import entry_reader
from app.storage.entity import EntityTable
from app.storage.jobs import record_bytes
from app.storage.skills import stream_entries

# Rows scored at a time.
CHUNK_ROWS = 512


class HybridRanking(SkillRanking):
    """Ranks jobs for a profile, and users for a job, by the hybrid score.

    See docs/decisions/0012-hybrid-ranking.md.
    """

    def __init__(self, context: RankingContext) -> None:
        super().__init__(context, ByAllParts(context.encoder))


class ByAllParts:
    """Reads embeddings and skill ids in one scan."""

    has_embeddings = True
    # As many as a single query may have: to read the embeddings again costs more.
    scan_skills = MAX_QUERY_SKILLS

    def __init__(self, model: Described) -> None:
        self._model = model

    @property
    def buffer_bytes(self) -> int:
        """As `Method.buffer_bytes`."""
        return CHUNK_ROWS * record_bytes(self._model.dimension)

    def is_state(self, state: NDArray[np.float64], asked: SkillQuery) -> bool:
        """As `Method.is_state`."""
        return is_state(state, asked)

    def top(self, vocabulary: Vocabulary, group: ScanGroup) -> RunningTop:
        """As `Method.top`."""
        return HybridTopK(vocabulary, group)

    def stream(
        self, transaction: Transaction, sink: Sink, table: EntityTable, key: BatchKey
    ) -> None:
        """As `Method.stream`."""
        stream_entries(
            transaction,
            sink,
            table,
            version=self._model.version,
            dimension=self._model.dimension,
            filters=key.filters,
        )

    def reader(self, kind: Kind, consume: Callable[[Any], None]) -> CopyReader[Any]:
        """As `Method.reader`."""
        return entry_reader(kind, consume)

"""The protocol of rankings over skill ids: the data they read, and their scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.query.query import BatchKey
from app.query.result import Parts
from app.ranking.skills.idf import are_weights
from app.ranking.skills.prepare import SCAN_SKILLS, SkillQuery
from app.ranking.skills.scorer import SkillTopK
from app.ranking.skills.skill_scores import SkillQueries
from app.ranking.skills.vocabulary import Vocabulary
from app.ranking.top_k.heap import Scored
from app.storage.connection.transaction import Sink, Transaction
from app.storage.copy.embeddings import CopyReader
from app.storage.copy.skill_ids import EntryChunk, skill_reader
from app.storage.entity import EntityTable
from app.storage.skills import stream_skill_ids


@dataclass(frozen=True)
class ScanGroup:
    """The queries that share a scan.

    `texts`: (q, dimension) float32, the vectors of the whole texts. `skills`: the
    queries' skills, without weights. `states`: the ranking states of the previous
    pages, None for a first page.
    """

    key: BatchKey
    asked: Sequence[SkillQuery]
    texts: NDArray[np.float32]
    skills: SkillQueries
    states: Sequence[NDArray[np.float64] | None]

    def skills_with(
        self, weights: Sequence[NDArray[np.float64] | None]
    ) -> SkillQueries:
        """The skills with the weights of the previous page."""
        return replace(self.skills, weights=weights)


class RunningTop(Protocol):
    """A running top-k for each query of a group."""

    analyzed: int

    @property
    def weights(self) -> Sequence[NDArray[np.float64]]:
        """(k,) for each query: the weights of its skills."""
        ...

    @property
    def states(self) -> Sequence[NDArray[np.float64]]:
        """The ranking state for each query's next page."""
        ...

    def update(self, batch: Any, /) -> None: ...

    def result(self, query: int) -> list[Scored]: ...

    def parts(self, query: int, batch: EntryChunk, /) -> Sequence[Parts | None]:
        """Of the scores of these rows; None where a score has none."""
        ...


class Method(Protocol):
    """How a ranking reads and scores rows."""

    has_embeddings: bool
    scan_skills: int  # distinct skills per scan, see `prepare.SCAN_SKILLS`

    @property
    def buffer_bytes(self) -> int: ...

    def is_state(self, state: NDArray[np.float64], asked: SkillQuery) -> bool:
        """Whether these values can be the ranking state of this query."""
        ...

    def top(self, vocabulary: Vocabulary, group: ScanGroup) -> RunningTop: ...

    def stream(
        self, transaction: Transaction, sink: Sink, table: EntityTable, key: BatchKey
    ) -> None: ...

    def reader(self, kind: Kind, consume: Callable[[Any], None]) -> CopyReader[Any]: ...


class BySkills:
    """Ranking by skills, which reads only the narrow table."""

    # Some 1,400 jobs of six skills.
    buffer_bytes = 1 << 16
    has_embeddings = False
    scan_skills = SCAN_SKILLS

    def is_state(self, state: NDArray[np.float64], asked: SkillQuery) -> bool:
        """As `Method.is_state`."""
        return are_weights(state, len(asked.skills))

    def top(self, vocabulary: Vocabulary, group: ScanGroup) -> RunningTop:
        """As `Method.top`."""
        return SkillTopK(vocabulary, group.skills_with(group.states))

    def stream(
        self, transaction: Transaction, sink: Sink, table: EntityTable, key: BatchKey
    ) -> None:
        """As `Method.stream`."""
        stream_skill_ids(transaction, sink, table, filters=key.filters)

    def reader(self, kind: Kind, consume: Callable[[Any], None]) -> CopyReader[Any]:
        """As `Method.reader`."""
        return skill_reader(kind, consume)

"""The only list of rankings: the API, its document and the commands derive from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

from app.batching.batcher import BatchScope
from app.errors import ConfigError
from app.query.query import BatchKey, Query
from app.query.result import Outcome, Thresholds
from app.ranking.base import Ranking, RankingContext
from app.ranking.similarity import SimilarityRanking


def _by_skills(context: RankingContext) -> Ranking:
    # Imported on demand: the rankings by skills take 1.4 MB, and 35 ms of each start.
    from app.ranking.skills.ranker import SkillRanking  # noqa: PLC0415

    return SkillRanking(context)


def _by_all_parts(context: RankingContext) -> Ranking:
    from app.ranking.hybrid import HybridRanking  # noqa: PLC0415

    return HybridRanking(context)


@dataclass(frozen=True)
class RankingEntry:
    """A ranking, as `rank_by` names it.

    `summary` completes "`name`: …" in the OpenAPI document; `title` and `hint` are what
    the page says. `explains`: its hits come with their explanation, and may be
    distinct; `is_distinct`: they are, unless a request says otherwise. `uses_index`: it
    searches through the retrieval, which may answer from an index. `thresholds`: what
    a match_score is worth; `rise`: by which share of themselves liked jobs raise them
    at most, because they raise the scores (docs/feedback.md).
    """

    name: str
    summary: str
    title: str
    hint: str
    build: Callable[[RankingContext], Ranking]
    explains: bool = False
    is_distinct: bool = False
    thresholds: Thresholds | None = None
    rise: float = 0.0
    uses_index: bool = False


RANKINGS = {
    entry.name: entry
    for entry in (
        RankingEntry(
            "similarity",
            "the cosine of the whole texts",
            "Whole text",
            "How close the texts are in meaning",
            SimilarityRanking,
            uses_index=True,
        ),
        RankingEntry(
            "skills",
            "skill by skill, with the reasons",
            "Skill by skill",
            "How many of these skills the job asks for",
            _by_skills,
            explains=True,
            thresholds=Thresholds(possible=0.1, strong=0.3),
            rise=0.2,
        ),
        RankingEntry(
            "hybrid",
            "whole texts, skills and words in one score, with the reasons",
            "All together",
            "Skills, words and the text as a whole, in one score",
            _by_all_parts,
            explains=True,
            is_distinct=True,
            thresholds=Thresholds(possible=0.15, strong=0.3),
            rise=0.4,
        ),
    )
}


def check_rank_by(name: str, *, setting: str = "RANK_BY") -> str:
    """The name. Raises ConfigError, which lists the names, for any other."""
    if name not in RANKINGS:
        raise ConfigError(f"{setting} should be one of {', '.join(RANKINGS)}.")
    return name


def build_rankings(context: RankingContext) -> dict[str, Ranking]:
    """All rankings by name. Nothing connects or loads before its first batch."""
    return {
        name: OnDemand(partial(entry.build, context))
        for name, entry in RANKINGS.items()
    }


class OnDemand:
    """A `Ranking` that is imported and built for its first batch."""

    def __init__(self, build: Callable[[], Ranking]) -> None:
        self._build = build
        self._ranking: Ranking | None = None
        self._lock = Lock()

    def rank(
        self, key: BatchKey, queries: Sequence[Query], scope: BatchScope
    ) -> Sequence[Outcome]:
        """As `Ranking.rank`."""
        # A second one would read the vocabulary again.
        with self._lock:
            ranking = self._ranking = self._ranking or self._build()
        return ranking.rank(key, queries, scope)

"""The ranking state of the hybrid ranking, which cursors contain."""

from dataclasses import dataclass

import numpy as np

from app.ranking.skills.hybrid_scoring import Scores
from app.ranking.skills.idf import are_weights
from app.ranking.skills.prepare import SkillQuery
from app.ranking.skills.stems import words_of

# The maximum number of words of a query: each takes a column of every chunk.
MAX_QUERY_WORDS = 128


@dataclass(frozen=True)
class HybridState:
    """Data that change with the vocabulary and the counts, but not between pages.

    `weights`: (k,) of the query's skills. `shares`: (w,) of its words. Also the open
    share, and the mean number of words of a job.
    """

    weights: Scores
    shares: Scores
    open_share: float
    mean: float

    @classmethod
    def of(cls, values: Scores, query: SkillQuery) -> "HybridState":
        """The state from `values` that `is_state` has accepted."""
        skills = len(query.skills)
        open_share, mean = values[-2:].tolist()
        return cls(values[:skills], values[skills:-2], open_share, mean)

    @property
    def values(self) -> Scores:
        """The whole state in one array."""
        return np.concatenate([self.weights, self.shares, [self.open_share, self.mean]])


def is_state(values: Scores, query: SkillQuery) -> bool:
    """Whether these values can be the state of this query."""
    words = len(query_words(query))
    if len(values) != len(query.skills) + words + 2 or not np.isfinite(values).all():
        return False
    state = HybridState.of(values, query)
    return (
        are_weights(state.weights, len(query.skills))
        and (not words or are_weights(state.shares, words))
        and 0 <= state.open_share <= 1
        and state.mean >= 0
    )


def query_words(query: SkillQuery) -> list[str]:
    """The distinct stems of a query's skills: the first MAX_QUERY_WORDS."""
    found = (word for skill in query.skills for word in words_of(skill.key))
    return list(dict.fromkeys(found))[:MAX_QUERY_WORDS]

"""What can be asked of a ranking by skills, and what comes back."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from app.query.ids import Id
from app.questions import Timings
from app.selection import EVERYTHING, Selection
from app.skills.explain import Explanation


@dataclass(frozen=True)
class SkillQuestion:
    """Which jobs fit a user or a skills text, or which users fit a job, by skills.

    Exactly one of `user_id`, `skills` and `job_id` is set. With `only`, these rows
    are explained, and nothing is ranked.
    """

    top_n: int
    user_id: Id | None = None
    skills: str | None = None
    job_id: Id | None = None
    only: Sequence[Id] | None = None
    selection: Selection = EVERYTHING

    @property
    def pass_key(self) -> Hashable:
        """Who reads the same rows can share a pass."""
        side = ("skills", self.job_id is None, self.only is None)
        return (*side, self.selection.scan_key)


@dataclass(frozen=True)
class Match:
    """A job or a user that fits. `similarity_score` is the cosine similarity of the
    whole texts, None where an embedding is pending; `explanation` is None where the
    skills are.
    """

    id: Id
    text: str | None
    similarity_score: float | None
    explanation: Explanation | None
    columns: Mapping[str, object] | None = None


@dataclass(frozen=True)
class SkillAnswer:
    """The best rows, best first: by match score, coverage, id. `next_cursor` goes on
    after them; None where there are no more.
    """

    matches: Sequence[Match]
    total_analyzed: int
    timings: Timings
    note: str | None = None
    total_pending: int = 0
    next_cursor: str | None = None

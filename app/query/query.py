"""What is asked and answered, as values; what a pass cost. No database, no HTTP."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from app.query.constraints import NO_CONSTRAINTS, Constraints
from app.query.ids import Id


@dataclass(frozen=True)
class Question:
    """Which jobs fit this user, or these skills. Exactly one of the two is set."""

    top_n: int
    user_id: Id | None = None
    skills: str | None = None
    constraints: Constraints = NO_CONSTRAINTS
    # Compare all rows, also where an index could choose candidates.
    exact: bool = False
    # Rather a InconclusiveError than a search that takes many times as long as most.
    shallow: bool = False

    @property
    def batch_key(self) -> Hashable:
        """Who reads the same rows can share a pass; a shallow look into an index does
        not wait for an exact scan, nor for a long search.
        """
        return ("similarity", self.constraints.scan_key, self.exact, self.shallow)


class AbandonedError(Exception):
    """Nobody waits for this pass any more."""


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
    constraints: Constraints = NO_CONSTRAINTS

    @property
    def batch_key(self) -> Hashable:
        """Who reads the same rows can share a pass."""
        side = ("skills", self.job_id is None, self.only is None)
        return (*side, self.constraints.scan_key)


@dataclass(frozen=True)
class NeighbourQuestion:
    """Which jobs are like this job, or which users fit it."""

    top_n: int
    job_id: Id
    finds_users: bool = False
    constraints: Constraints = NO_CONSTRAINTS
    # As that of a `Question`.
    shallow: bool = False

    @property
    def batch_key(self) -> Hashable:
        """Who reads the same rows can share a pass."""
        return ("neighbours", self.finds_users, self.constraints.scan_key, self.shallow)

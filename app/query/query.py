"""A query, and the key that the queries of one batch share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.query.boosts import NO_BOOSTS, Boosts
from app.query.constraints import NO_CONSTRAINTS, Condition, Constraints
from app.query.ids import Id
from app.query.variety import NO_VARIETY, Variety

Source = Literal["profile", "job"]
Target = Literal["jobs", "users"]


@dataclass(frozen=True)
class BatchKey:
    """The common part of the queries of one batch, which share a scan.

    `ranking`: a name in `ranking.registry`. `source`: rank for a profile (a user, or a
    text) or for a job. `target`: the rows to rank. `exact`: compare all rows, even if
    an index could select candidates. `explain_only`: explain the rows that the query
    names instead of ranking. `boosts`: of the scores of jobs.
    """

    ranking: str = "similarity"
    source: Source = "profile"
    target: Target = "jobs"
    filters: tuple[Condition, ...] = ()
    exact: bool = False
    explain_only: bool = False
    boosts: Boosts = NO_BOOSTS


@dataclass(frozen=True)
class Query:
    """A request for the `top_k` rows that fit a profile or a job best.

    Either `source_id` or `text` is set. `only`: the rows to explain, if the key has
    `explain_only`. `distinct`: near-repeats take one place. `variety`: of the jobs.
    """

    key: BatchKey
    top_k: int
    source_id: Id | None = None
    text: str | None = None
    constraints: Constraints = NO_CONSTRAINTS
    only: Sequence[Id] = ()
    distinct: bool = False
    variety: Variety = NO_VARIETY

    @property
    def order(self) -> tuple[object, ...]:
        """What orders the rows beside the profile, for the hash of cursors."""
        key = self.key
        return key.ranking, key.filters, key.boosts, self.variety

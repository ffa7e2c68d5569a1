"""What is asked, as values: a query, and what those of one batch have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.query.constraints import NO_CONSTRAINTS, Condition, Constraints
from app.query.ids import Id

Source = Literal["profile", "job"]
Target = Literal["jobs", "users"]


@dataclass(frozen=True)
class BatchKey:
    """What the queries of one batch have in common: they share a scan.

    `ranking` is a name of `ranking.registry`. `source` is what is compared, a profile
    (a user's, or a text) or a job; `target` is what it is compared with. `exact`
    compares all rows, also where an index could choose candidates. `explain_only`
    ranks nothing: the rows that a query names are explained.
    """

    ranking: str = "similarity"
    source: Source = "profile"
    target: Target = "jobs"
    filters: tuple[Condition, ...] = ()
    exact: bool = False
    explain_only: bool = False


@dataclass(frozen=True)
class Query:
    """Which rows fit a profile or a job best. `source_id` or `text` is set.

    `only`: the rows to explain, where the key says `explain_only`.
    """

    key: BatchKey
    top_k: int
    source_id: Id | None = None
    text: str | None = None
    constraints: Constraints = NO_CONSTRAINTS
    only: Sequence[Id] = ()

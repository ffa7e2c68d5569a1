"""The expected results: every row of the database, scored one by one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.query.constraints import AnyOf, Condition, Range
from app.query.query import Query
from tests.support.postgres import run
from tests.support.rows import VERSION

# It has its own SQL, decoder, arithmetic and order, and uses no code under test.
Row = tuple[Any, float]


class Oracle(NamedTuple):
    """One table: (n,) ids in order, (n, 384) unit vectors, levels."""

    ids: list[Any]
    units: NDArray[np.float64]
    levels: list[int | None]

    @classmethod
    def of(cls, url: str) -> "Oracle":
        """The rows that can be compared now."""
        rows = run(
            url,
            "SELECT job_id, embedding, level FROM skill_job1"
            " WHERE coalesce(embedding_version, %s) = %s"
            " AND length(embedding) = 1536 ORDER BY job_id",
            (VERSION, VERSION),
        )
        vectors = np.array([np.frombuffer(row[1], "<f4") for row in rows])
        exact = vectors.reshape(-1, 384).astype(np.float64)
        norms = np.sqrt((exact**2).sum(axis=1))
        usable = (norms > 1e-15) & (norms < 1e19)  # what float32 can square
        kept = [row for row, is_usable in zip(rows, usable, strict=True) if is_usable]
        units = exact[usable] / norms[usable, None]
        return cls([row[0] for row in kept], units, [row[2] for row in kept])

    def matching(self, filters: Sequence[Condition]) -> list[int]:
        """The indexes of the rows that match the filters."""
        return [
            n
            for n, level in enumerate(self.levels)
            if all(_matches(level, each) for each in filters)
        ]

    def best(self, vector: NDArray[np.float32], query: Query) -> list[Row]:
        """(id, score) of every row within the constraints of a query, best first."""
        exact = vector.astype(np.float64)
        scores = np.round(self.units @ exact / np.sqrt((exact**2).sum()), 6)
        asked, after = query.constraints, query.constraints.after
        rows = [
            (self.ids[n], float(scores[n]))
            for n in self.matching(query.key.filters)
            if self.ids[n] not in asked.exclude
            and (asked.min_score is None or scores[n] >= asked.min_score)
        ]
        rows.sort(key=lambda row: (-row[1], row[0]))
        if after is None:
            return rows
        return [row for row in rows if (-row[1], row[0]) > (-after.score, after.id)]


def _matches(level: int | None, condition: Condition) -> bool:
    if isinstance(condition, AnyOf):
        return level in condition.values
    assert isinstance(condition, Range)
    bounds = dict(condition.bounds)
    return level is not None and bounds["gte"] <= level < bounds["lt"]  # type: ignore[operator]

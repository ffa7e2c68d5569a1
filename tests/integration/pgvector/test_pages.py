"""Page after page through the index: the stream's rows, in its order, whatever else
the query says.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.query.constraints import AnyOf, Condition, Constraints, CursorPosition, Range
from app.query.query import Query
from app.ranking.retrieval.base import Retrieval
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.ranking.top_k.heap import Scored
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import (
    STREAM,
    clustered,
    nearby,
    search,
    through_index,
)
from tests.support.queries import profile_query
from tests.support.rows import VERSION

PAGES = 3

SMALL = PgvectorSearch(version=VERSION, scan_chunk_rows=100)

# Of 30 jobs around one centre a condition leaves ten; the index is asked for no others.
NEAR = nearby(1), 3
# Fifty jobs have this text, more than the candidates of one search.
TIED = clustered(3000)[:1], 10

LEVEL = AnyOf("level", (0,))
LEVELS = Range("level", (("gte", 0), ("lt", 2)))


def read_pages(
    database: Database,
    backend: Retrieval,
    vectors: NDArray[np.float32],
    query: Query,
) -> list[Sequence[Scored]]:
    """The first pages of one query, each from where the one before ended."""
    pages: list[Sequence[Scored]] = []
    for _ in range(PAGES):
        (page,) = search(database, backend, vectors, [query], ["level"]).ranked
        pages.append(page)
        if len(page) < query.top_k:
            break
        last = page[-1]
        after = CursorPosition(last.score, last.second, last.id)
        query = replace(query, constraints=replace(query.constraints, after=after))
    return pages


@pytest.mark.parametrize("backend", [through_index(), SMALL], ids=["index", "small"])
@pytest.mark.parametrize("around", [NEAR, TIED], ids=["near", "tied"])
@pytest.mark.parametrize(
    ("filters", "excluded"),
    [((), 0), ((LEVEL,), 0), ((LEVELS,), 0), ((), 7), ((LEVEL,), 7)],
    ids=["all", "value", "range", "excluded", "value and excluded"],
)
def test_pages_go_together_with_filters_exclusions_and_minimum_scores(
    filled: Database,
    backend: Retrieval,
    around: tuple[NDArray[np.float32], int],
    filters: tuple[Condition, ...],
    excluded: int,
) -> None:
    vectors, size = around
    query = profile_query(size, text="any", filters=filters)
    everything = replace(query, top_k=3000)
    (every,) = search(filled, STREAM, vectors, [everything], ["level"]).ranked
    left = [row for row in every if not (excluded and row.id % excluded == 0)]
    for least in (None, left[2 * size].score):
        constraints = Constraints(
            exclude=frozenset(range(0, 3000, excluded)) if excluded else frozenset(),
            min_score=least,
        )
        asked = replace(query, constraints=constraints)
        pages = read_pages(filled, backend, vectors, asked)
        found = [row for page in pages for row in page]
        expected = [row for row in left if least is None or row.score >= least]
        # An index may miss what lies further away.
        compared = len(expected) if least else 2 * size + 1
        assert found[:compared] == expected[: min(compared, PAGES * size)]
        assert all(len(page) == size for page in pages[:-1])
        assert len({row.id for row in found}) == len(found)

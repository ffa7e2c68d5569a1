"""Results of every backend compared with an oracle: order, ties, batches, pages."""

from dataclasses import replace

import numpy as np
import pytest

from app.query.constraints import (
    NO_CONSTRAINTS,
    AnyOf,
    Condition,
    Constraints,
    CursorPosition,
    Range,
)
from app.query.query import Query
from tests.integration.retrieval.conftest import JOBS, Exercise, around
from tests.integration.retrieval.oracle import Oracle
from tests.support.queries import profile_query

ASKED = around(20, seed=1)
# Four jobs have this text.
TIED = around(JOBS)[:1]

LEVEL = AnyOf("level", (0,))
LEVELS = Range("level", (("gte", 0), ("lt", 2)))
NO_LEVEL = AnyOf("level", ())


@pytest.mark.parametrize("top_k", [1, 10, 25, JOBS - 1, JOBS, JOBS + 5])
def test_the_best_come_in_order_as_many_as_there_are(
    shared: Exercise, top_k: int
) -> None:
    shared.check(ASKED, [profile_query(top_k)] * 20)


def test_an_exact_question_misses_nothing_far_from_all_jobs(shared: Exercise) -> None:
    vectors = np.random.default_rng(5).standard_normal((9, 384), dtype=np.float32)
    shared.check(vectors, [profile_query(10, exact=True)] * 9)


def test_f26_equal_scores_are_ordered_by_id(shared: Exercise) -> None:
    for top_k in (2, 7):
        shared.check(TIED, [profile_query(top_k)])
        found = shared.check(TIED, [profile_query(top_k, exact=True)])
    ties = [row.id for row in found.ranked[0] if row.score == found.ranked[0][0].score]
    assert len(ties) == 4
    assert ties == sorted(ties)


@pytest.mark.parametrize(
    ("filters", "constraints"),
    [
        ((LEVEL,), NO_CONSTRAINTS),
        ((LEVELS,), NO_CONSTRAINTS),
        ((LEVEL, LEVELS), NO_CONSTRAINTS),
        ((NO_LEVEL,), NO_CONSTRAINTS),
        ((), Constraints(exclude=frozenset(range(0, 10 * JOBS, 2)))),
        ((), Constraints(exclude=frozenset({"no id at all", 2**63}))),
        ((), Constraints(min_score=0.5)),
        ((), Constraints(min_score=2.0)),
        ((LEVEL,), Constraints(min_score=0.4, exclude=frozenset(range(300)))),
        ((), Constraints(after=CursorPosition(0.5, 0.0, 17))),
        ((), Constraints(after=CursorPosition(-1.0, 0.0, 17))),
    ],
    ids=range(11),
)
def test_filters_exclusions_and_minimum_scores_leave_the_others_as_they_are(
    shared: Exercise, filters: tuple[Condition, ...], constraints: Constraints
) -> None:
    query = profile_query(12, filters=filters, constraints=constraints)
    shared.check(ASKED, [query] * 20)


def test_other_queries_of_the_batch_change_no_result(shared: Exercise) -> None:
    several = [
        NO_CONSTRAINTS,
        Constraints(exclude=frozenset(range(0, 10 * JOBS, 7))),
        Constraints(min_score=0.45),
        Constraints(after=CursorPosition(0.6, 0.0, 99), min_score=0.1),
    ]
    queries = [
        profile_query((5, 25, 60)[n % 3], constraints=several[n % 4]) for n in range(20)
    ]
    together = shared.check(ASKED, queries)
    for n, query in enumerate(queries):
        alone = shared.search(ASKED[n : n + 1], [query])
        assert alone.ranked == [together.ranked[n]]


@pytest.mark.parametrize("around_tie", [False, True], ids=["near", "tied"])
@pytest.mark.parametrize(
    ("filters", "excluded"),
    [((), 0), ((LEVEL,), 0), ((LEVELS,), 0), ((), 7), ((LEVEL,), 7)],
    ids=["all", "value", "range", "excluded", "value and excluded"],
)
def test_pages_go_together_with_filters_exclusions_and_minimum_scores(
    shared: Exercise, filters: tuple[Condition, ...], excluded: int, around_tie: bool
) -> None:
    vectors = TIED if around_tie else ASKED[:1]
    exclude = frozenset(range(0, 10 * JOBS, excluded)) if excluded else frozenset()
    query = profile_query(3, filters=filters)
    oracle = Oracle.of(shared.url)
    every = oracle.best(vectors[0], query)
    for least in (None, every[20][1]):
        constraints = Constraints(exclude=exclude, min_score=least)
        asked = replace(query, constraints=constraints)
        read_through(shared, vectors, asked, oracle=oracle)


def read_through(
    exercise: Exercise,
    vectors: np.ndarray,
    query: Query,
    *,
    oracle: Oracle,
    most: int = 36,
) -> None:
    """Read up to this many rows page by page."""
    whole = oracle.best(vectors[0], query)[:most]
    seen: list[object] = []
    while True:
        (page,) = exercise.check(vectors, [query], oracle=oracle).ranked
        seen += [exercise.public(row) for row in page]
        if len(page) < query.top_k or len(seen) >= most:
            break
        last = page[-1]
        after = CursorPosition(last.score, last.second, last.id)
        query = replace(query, constraints=replace(query.constraints, after=after))
    assert len(seen) == len(set(seen))
    assert not exercise.backend.is_exact or seen[:most] == [id_ for id_, _ in whole]

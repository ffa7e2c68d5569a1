"""Rows of any kind, compared a few at a time: answers are those of the stream."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.query.constraints import AnyOf, Constraints, CursorPosition
from app.query.ids import Id
from app.ranking.retrieval.replica import codes_top_k
from tests.integration.replica.replicas import Exercise, add_jobs
from tests.support.postgres import run
from tests.support.queries import profile_query

SEEDS = 12
ROWS = 240
EXTREMES = (-(2**63), 2**63 - 1, 2**53, 2**53 + 1, -1, 0, 1)
LENGTHS = (1e-45, 1e-38, 1e-20, 1e-16, 1e-15, 1.1e-15, 1e-14, 1.0, 1e14, 1e18, 3e38)


def odd(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    """(count, 384): few directions, so that many are equal, of any length; and some
    with values that no embedding has.
    """
    directions = random.standard_normal((6, 384))
    directions[0] = np.eye(1, 384)
    directions[1] = directions[2]
    directions[1, :300] += 1e-6
    rows = directions[random.integers(0, 6, count)]
    with np.errstate(over="ignore"):
        found: NDArray[np.float32] = (rows * random.choice(LENGTHS, (count, 1))).astype(
            np.float32
        )
    for value in (np.nan, np.inf, -np.inf, 0):
        found[random.random(count) < 0.03, random.integers(0, 384)] = value
    found[random.random(count) < 0.05] = 0
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_answers_are_those_of_the_stream(
    empty: Exercise, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name in ("COMPARED_SCORES", "LEAST_COMPARED_ROWS", "FIRST_ROWS"):
        monkeypatch.setattr(codes_top_k, name, 16)
    random = np.random.default_rng(seed)
    count = (1, 2, 17, ROWS)[seed % 4]
    ids: list[Id] = [*EXTREMES, *range(100, 100 + ROWS)][:count]
    vectors = odd(random, count)
    if seed == 3:
        vectors[:] = vectors[np.isfinite(vectors).all(axis=1)][0]
    add_jobs(empty.url, vectors, ids)
    run(empty.url, "ALTER TABLE skill_job1 ADD level int")
    run(empty.url, "UPDATE skill_job1 SET level = abs(job_id % 3)")
    empty.columns = ["level"]
    empty.pass_once()
    for _ in ("from the files", "with changes in memory"):
        ask(empty, random)
        changed = odd(random, count // 3)
        run(
            empty.url,
            "UPDATE skill_job1 AS s SET embedding = n.embedding"
            " FROM unnest(%s::bigint[], %s::bytea[]) AS n (job_id, embedding)"
            " WHERE s.job_id = n.job_id",
            (ids[: count // 3], [row.tobytes() for row in changed]),
        )
        run(empty.url, "DELETE FROM skill_job1 WHERE job_id % 11 = 10")


def ask(exercise: Exercise, random: np.random.Generator) -> None:
    """All kinds of constraints, with queries in the jobs' own directions."""
    vectors = np.array(
        [np.eye(1, 384)[0], *random.standard_normal((2, 384))], np.float32
    )
    after = CursorPosition(0.25, 0.0, 100)
    for key in ((), (AnyOf("level", (1,)),), (AnyOf("level", (7,)),)):
        queries = [
            profile_query(10, filters=key),
            profile_query(1, filters=key, constraints=Constraints(min_score=0.5)),
            profile_query(
                300,
                filters=key,
                constraints=Constraints(exclude=frozenset({2**53}), after=after),
            ),
        ]
        assert exercise.check(vectors, queries) is not None
        assert exercise.check(vectors[:1], queries[:1]) is not None

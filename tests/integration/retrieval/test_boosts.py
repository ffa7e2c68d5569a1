"""Over every backend: freshness, boosts and expiry."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from app.errors import InvalidInputError
from app.query.boosts import NO_BOOSTS, SECONDS_PER_HOUR, Boosts, current_hour
from app.query.constraints import Constraints, Unexpired
from app.query.cursor import from_text
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Hit, Result
from app.ranking.base import Ranking
from app.ranking.retrieval.index_search import BOOSTED_CANDIDATES
from tests.integration.retrieval.conftest import JOBS, Exercise
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over

COLUMNS = ("posted", "seen", "priority", "weight", "level")
HOUR = current_hour()
NOW = datetime.fromtimestamp(HOUR * SECONDS_PER_HOUR, UTC)
FRESH = Boosts("seen", 10.0, None, HOUR)
BOTH = Boosts("posted", 30.0, "priority", HOUR)


def date(exercise: Exercise) -> Exercise:
    """Jobs with dates, some of them infinite or missing, and numbers likewise."""
    run(
        exercise.url,
        "ALTER TABLE skill_job1 ADD posted date, ADD seen timestamptz,"
        " ADD priority double precision, ADD weight numeric",
    )
    rng = np.random.default_rng(3)
    jobs = sorted(id_ for (id_,) in run(exercise.url, "SELECT job_id FROM skill_job1"))
    odd: list[tuple[Any, ...]] = [
        ("infinity", "infinity", "Infinity", "1e400"),
        ("-infinity", "-infinity", "-Infinity", "-3"),
        (None, None, None, None),
        ("2999-01-01", "2999-01-01", "NaN", "NaN"),
    ]
    rows = []
    for n in range(len(jobs)):
        age = timedelta(days=float(rng.uniform(0, 90)))
        rows.append(odd[n % 40] if n % 40 < len(odd) else (
            (NOW - age).date(), NOW - age, rng.uniform(0, 3), rng.uniform(0, 3)
        ))  # fmt: skip
    run(
        exercise.url,
        "UPDATE skill_job1 AS j SET posted = n.posted, seen = n.seen,"
        " priority = n.priority, weight = n.weight FROM unnest("
        "%s::bigint[], %s::text[]::date[], %s::text[]::timestamptz[],"
        " %s::text[]::float8[], %s::text[]::numeric[])"
        " AS n (id, posted, seen, priority, weight) WHERE j.job_id = n.id",
        (jobs, *(as_texts(column) for column in zip(*rows, strict=True))),
    )
    exercise.settle()
    return exercise


@pytest.fixture(scope="module")
def dated(shared: Exercise) -> Exercise:
    """For tests that change nothing."""
    return date(shared)


@pytest.fixture
def changed(filled: Exercise) -> Exercise:
    """For a test that changes jobs."""
    return date(filled)


def as_texts(values: Sequence[object]) -> list[str | None]:
    """As Postgres reads them."""
    return [None if value is None else str(value) for value in values]


def ranking_of(exercise: Exercise) -> Ranking:
    return ranking_over(
        exercise.database,
        HashEncoder(),
        retrieval=exercise.retrieval,
        job_columns=COLUMNS,
    )


def ask(exercise: Exercise, *queries: Query) -> list[Result]:
    return results(rank(ranking_of(exercise), queries))


def ids_of(hits: list[Hit]) -> list[Id]:
    return [hit.id for hit in hits]


def expected_factors(exercise: Exercise, boosts: Boosts) -> dict[Id, float]:
    """By Python's own arithmetic."""
    rows = run(
        exercise.url,
        "SELECT job_id, extract(epoch FROM posted)::text,"
        " extract(epoch FROM seen)::text, priority::text, weight::text"
        " FROM skill_job1",
    )
    found = {}
    for id_, posted, seen, priority, weight in rows:
        factor = 1.0
        date = {"posted": posted, "seen": seen}.get(boosts.freshness or "")
        if date is not None:
            age_s = max(0.0, boosts.hour * 3600 - float(date))
            factor *= max(0.1, 0.5 ** (age_s / 86400 / boosts.half_life_days))
        number = {"priority": priority, "weight": weight}.get(boosts.boost or "")
        if number is not None and number != "NaN":
            factor *= min(10.0, max(0.1, float(number)))
        found[id_] = factor
    return found


def product(hit: Hit, factor: float) -> float:
    assert hit.similarity_score is not None
    return hit.similarity_score * (factor if hit.similarity_score > 0 else 1.0)


@pytest.mark.parametrize(
    "boosts",
    [
        FRESH,
        BOTH,
        Boosts(boost="weight"),
        Boosts("seen", 0.1, "weight", HOUR),
    ],
    ids=["fresh", "both", "boost", "steep"],
)
def test_scores_are_cosines_multiplied_by_the_factor_of_their_row(
    dated: Exercise, boosts: Boosts
) -> None:
    plain, found = (
        ask(dated, profile_query(JOBS, text="a text", exact=True, boosts=each))[0]
        for each in (NO_BOOSTS, boosts)
    )
    factors = expected_factors(dated, boosts)
    assert {hit.id: hit.factor for hit in found.hits} == pytest.approx(factors)
    scores = {hit.id: product(hit, factors[hit.id]) for hit in plain.hits}
    got = {hit.id: hit.similarity_score for hit in found.hits}
    # The published cosines are rounded, and a factor is 10 at most.
    assert got == pytest.approx(scores, abs=1e-5)
    order = [(-(hit.similarity_score or 0), hit.id) for hit in found.hits]
    assert order == sorted(order)
    assert all(hit.factor is None for hit in plain.hits)


@pytest.mark.parametrize("exact", [False, True])
def test_pages_are_parts_of_one_order(dated: Exercise, exact: bool) -> None:
    query = profile_query(60, text="a text", exact=exact, boosts=BOTH)
    (whole,) = ask(dated, replace(query, top_k=JOBS))
    seen: list[Hit] = []
    cursor: str | None = None
    while not seen or cursor is not None:
        after = None if cursor is None else from_text(cursor)
        assert after is None or after.hour == HOUR
        (page,) = ask(dated, replace(query, constraints=Constraints(after=after)))
        seen += page.hits
        cursor = page.next_cursor
    if dated.backend.is_exact or exact:
        assert seen == list(whole.hits)
        assert len(seen) == JOBS
    else:
        assert len(set(ids_of(seen))) == len(seen) >= BOOSTED_CANDIDATES // 2
        scores = [-(hit.similarity_score or 0) for hit in seen]
        assert scores == sorted(scores)
        assert {hit.id: hit for hit in seen}.items() <= {
            hit.id: hit for hit in whole.hits
        }.items()


def test_an_index_orders_the_nearest_jobs_by_the_product(dated: Exercise) -> None:
    near, all_ = (
        ask(dated, profile_query(10, text="a text", boosts=BOTH, exact=exact))[0]
        for exact in (False, True)
    )
    known = {hit.id: hit.similarity_score for hit in all_.hits}
    common = [hit for hit in near.hits if hit.id in known]
    assert [hit.similarity_score for hit in common] == [known[hit.id] for hit in common]
    # 300 of 360 jobs are ordered.
    assert len(common) >= 5
    if dated.backend.is_exact:
        assert near.hits == all_.hits


def test_a_minimum_is_compared_with_the_product(dated: Exercise) -> None:
    query = profile_query(JOBS, text="a text", exact=True, boosts=FRESH)
    (whole,) = ask(dated, query)
    least = whole.hits[20].similarity_score
    assert least is not None
    query = replace(query, constraints=Constraints(min_score=least))
    (found,) = ask(dated, query)
    assert list(found.hits) == [
        hit for hit in whole.hits if (hit.similarity_score or 0) >= least
    ]


def test_an_answer_does_not_depend_on_its_batch(dated: Exercise) -> None:
    queries = [profile_query(9, text=f"text {n}", boosts=BOTH) for n in range(5)]
    together = ask(dated, *queries)
    for query, result in zip(queries, together, strict=True):
        assert ask(dated, query)[0].hits == result.hits


@pytest.mark.parametrize("exact", [False, True])
def test_a_job_whose_date_has_passed_is_left_out(dated: Exercise, exact: bool) -> None:
    for column, over in (("posted", "posted < (now() AT TIME ZONE 'utc')::date"),
                         ("seen", "seen <= now()")):  # fmt: skip
        query = profile_query(
            JOBS, text="a text", exact=exact, filters=(Unexpired(column),)
        )
        (found,) = ask(dated, query)
        rows = run(
            dated.url,
            f"SELECT job_id FROM skill_job1 WHERE NOT coalesce({over}, false)",
        )
        assert sorted(ids_of(list(found.hits))) == sorted(id_ for (id_,) in rows)
        assert found.analyzed == len(rows)


@pytest.mark.parametrize(
    ("boosts", "needed"),
    [
        (Boosts("priority", 1.0), "freshness needs a column of dates; posted, seen"),
        (Boosts("skills", 1.0), "freshness needs a column of dates; posted, seen"),
        (
            Boosts(boost="posted"),
            "boost needs a column of numbers; priority, weight, level",
        ),
    ],
)
def test_a_column_of_another_type_is_refused(
    dated: Exercise, boosts: Boosts, needed: str
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        ask(dated, profile_query(1, text="a text", boosts=boosts))
    message = f"The request is not valid: {needed} can be used."
    assert str(raised.value) == message


def test_a_change_of_a_date_counts_at_once(changed: Exercise) -> None:
    query = profile_query(1, text="a text", exact=True, boosts=FRESH)
    (before,) = ask(changed, query)
    top = before.hits[0].id
    run(changed.url, f"UPDATE skill_job1 SET seen = '-infinity' WHERE job_id = {top}")
    for _ in range(2):
        (after,) = ask(changed, replace(query, top_k=JOBS))
        assert next(hit.factor for hit in after.hits if hit.id == top) == 0.1
        changed.settle()

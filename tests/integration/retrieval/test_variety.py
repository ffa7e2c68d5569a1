"""Over every backend: few jobs of one employer, and different ones."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.errors import InvalidInputError
from app.query.boosts import Boosts, current_hour
from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.feedback import FeedbackChange
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Hit, Result
from app.query.variety import Variety
from app.ranking.skills.choice import DIVERSE_WINDOW
from tests.integration.retrieval.conftest import JOBS, Exercise
from tests.integration.test_feedback import record
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import add_user

TWO_PER = Variety((("company", 2),))
DIFFERENT = Variety((), 0.5)
BOTH = Variety((("company", 5), ("level", 40)), 0.3)


def hire(exercise: Exercise) -> Exercise:
    """Jobs of thirty companies, some of none, and a user."""
    run(
        exercise.url,
        "ALTER TABLE skill_job1 ADD company text;"
        " UPDATE skill_job1 SET company = 'c' || job_id % 30 WHERE job_id % 10 <> 0",
    )
    add_user(exercise.url, 1, "a text")
    exercise.settle()
    return exercise


@pytest.fixture(scope="module")
def hired(shared: Exercise) -> Exercise:
    """For tests that change nothing."""
    return hire(shared)


@pytest.fixture
def changed(filled: Exercise) -> Exercise:
    """For a test that changes jobs."""
    return hire(filled)


def ask(exercise: Exercise, *queries: Query) -> list[Result]:
    ranking = ranking_over(
        exercise.database,
        HashEncoder(),
        retrieval=exercise.retrieval,
        job_columns=("company", "level"),
    )
    return results(rank(ranking, queries))


def companies(hits: list[Hit]) -> Counter[object]:
    found = Counter(hit.columns["company"] for hit in hits if hit.columns)
    del found[None]
    return found


def all_pages(exercise: Exercise, query: Query) -> list[list[Hit]]:
    pages: list[list[Hit]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        after = None if cursor is None else from_text(cursor)
        asked = replace(query, constraints=Constraints(after=after))
        (page,) = ask(exercise, asked)
        pages.append(list(page.hits))
        cursor = page.next_cursor
    return pages


def test_the_best_two_of_each_company_are_those_of_the_whole_order(
    hired: Exercise,
) -> None:
    query = profile_query(25, text="a text", exact=True)
    (whole,) = ask(hired, replace(query, top_k=JOBS))
    expected, counts = [], Counter[object]()
    for hit in whole.hits:
        assert hit.columns is not None
        company = hit.columns["company"]
        if company is None or counts[company] < 2:
            expected.append(hit)
            counts[company] += 1
    pages = all_pages(hired, replace(query, variety=TWO_PER))
    assert [hit for page in pages for hit in page] == expected
    assert all(len(page) == 25 for page in pages[:-1])


@pytest.mark.parametrize("variety", [TWO_PER, DIFFERENT, BOTH])
@pytest.mark.parametrize("boosts", [Boosts(), Boosts(boost="level")])
def test_pages_repeat_nothing_and_keep_the_limits(
    hired: Exercise, variety: Variety, boosts: Boosts
) -> None:
    query = profile_query(30, text="a text", variety=variety, boosts=boosts)
    hits = [hit for page in all_pages(hired, query) for hit in page]
    ids = [hit.id for hit in hits]
    assert len(set(ids)) == len(ids)
    limits = dict(variety.max_per)
    if "company" in limits:
        assert max(companies(hits).values()) <= limits["company"]
    elif hired.backend.is_exact:
        assert len(ids) == JOBS


@pytest.mark.parametrize("variety", [TWO_PER, DIFFERENT, BOTH])
def test_a_page_of_forty_is_two_of_twenty(hired: Exercise, variety: Variety) -> None:
    query = profile_query(40, text="a text", exact=True, variety=variety)
    (whole,) = ask(hired, query)
    first, second, *_ = all_pages(hired, replace(query, top_k=20))
    assert first + second == list(whole.hits)


def test_different_jobs_are_less_alike_than_the_best_ones(hired: Exercise) -> None:
    query = profile_query(10, text="a text", exact=True)
    best, different = (
        ask(hired, replace(query, variety=variety))[0]
        for variety in (Variety(), DIFFERENT)
    )
    assert different.hits[0] == best.hits[0]
    assert likeness(hired, different) < likeness(hired, best)


def likeness(exercise: Exercise, result: Result) -> float:
    """The mean cosine of pairs."""
    rows = run(
        exercise.url,
        "SELECT embedding FROM skill_job1 WHERE job_id = ANY (%s)",
        ([hit.id for hit in result.hits],),
    )
    vectors = np.array([np.frombuffer(row[0], "<f4") for row in rows], np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(vectors)
    return float(((vectors @ vectors.T).sum() - count) / (count * (count - 1)))


@pytest.mark.parametrize("variety", [TWO_PER, DIFFERENT])
def test_jobs_that_come_and_go_between_pages_cause_no_repeats(
    changed: Exercise, variety: Variety
) -> None:
    query = profile_query(20, user_id=1, exact=True, variety=variety)
    seen: list[Id] = []
    gone: set[Id] = set()
    cursor: str | None = None
    while cursor is not None or not seen:
        after = None if cursor is None else from_text(cursor)
        asked = replace(query, constraints=Constraints(after=after))
        (page,) = ask(changed, asked)
        ids = [hit.id for hit in page.hits]
        assert not set(ids) & (set(seen) | gone)
        seen += ids
        cursor = page.next_cursor
        if len(ids) < 5 or len(seen) > DIVERSE_WINDOW:
            break
        run(changed.url, "DELETE FROM skill_job1 WHERE job_id = %s", (ids[3],))
        change = FeedbackChange(1, ids[4], "dismissed")
        assert record(changed.database, change) == [None]
        (other,) = ask(changed, profile_query(JOBS, text="another", exact=True))
        last = next(hit.id for hit in other.hits if hit.id not in seen)
        run(changed.url, "DELETE FROM skill_job1 WHERE job_id = %s", (last,))
        gone.add(last)
    assert len(seen) > 40


def test_a_cursor_belongs_to_its_variety(hired: Exercise) -> None:
    query = profile_query(5, text="a text", variety=DIFFERENT)
    (page,) = ask(hired, query)
    assert page.next_cursor is not None
    constraints = Constraints(after=from_text(page.next_cursor))
    with pytest.raises(InvalidInputError, match="cursor belongs to another query"):
        ask(hired, replace(query, constraints=constraints, variety=TWO_PER))


def test_queries_of_one_batch_have_their_own_variety(hired: Exercise) -> None:
    queries = [
        profile_query(12, text=f"text {n}", variety=variety)
        for n, variety in enumerate([TWO_PER, Variety(), DIFFERENT, BOTH])
    ]
    together = ask(hired, *queries)
    for query, result in zip(queries, together, strict=True):
        (alone,) = ask(hired, query)
        assert alone.hits == result.hits
        assert alone.next_cursor == result.next_cursor


def test_a_column_that_is_not_offered_is_refused(hired: Exercise) -> None:
    query = profile_query(5, text="a text", variety=Variety((("skills", 1),)))
    with pytest.raises(InvalidInputError, match="the columns are company, level"):
        ask(hired, query)


def test_the_hour_of_the_first_page_stays(changed: Exercise) -> None:
    run(
        changed.url,
        "ALTER TABLE skill_job1 ADD posted date DEFAULT current_date - 40",
    )
    ranking = ranking_over(
        changed.database,
        HashEncoder(),
        retrieval=changed.retrieval,
        job_columns=("company", "posted"),
    )
    boosts = Boosts("posted", 30.0, None, current_hour() - 5)
    for variety in (DIFFERENT, TWO_PER):
        query = profile_query(5, text="a text", variety=variety, boosts=boosts)
        (page,) = results(rank(ranking, [query]))
        assert page.next_cursor is not None
        assert from_text(page.next_cursor).hour == boosts.hour

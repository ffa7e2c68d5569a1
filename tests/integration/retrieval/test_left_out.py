"""Over every backend: a job that a user dismissed or applied to never returns."""

from dataclasses import replace

import pytest

from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.feedback import FeedbackChange
from app.query.query import Query
from app.query.result import Result
from app.ranking.base import Ranking
from tests.integration.retrieval.conftest import JOBS, Exercise
from tests.integration.test_feedback import record
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over

USERS = (1, 2)


@pytest.fixture
def people(filled: Exercise) -> Exercise:
    """Two users with the same text."""
    for user in USERS:
        run(
            filled.url, f"INSERT INTO users (user_id, skills) VALUES ({user}, 'a text')"
        )
    return filled


def ask(ranking: Ranking, *queries: Query) -> list[Result]:
    return results(rank(ranking, queries))


def ids_of(result: Result) -> list[object]:
    return [hit.id for hit in result.hits]


def test_a_dismissed_job_is_left_out_for_this_user_alone(people: Exercise) -> None:
    ranking = ranking_over(people.database, HashEncoder(), retrieval=people.retrieval)
    first, _ = ask(ranking, *(profile_query(40, user_id=user) for user in USERS))
    gone = ids_of(first)[::2]
    changes = [
        FeedbackChange(1, id_, "applied" if n % 2 else "dismissed")  # type: ignore[arg-type]
        for n, id_ in enumerate(gone)
    ]
    assert record(people.database, *changes) == [None] * len(gone)
    for exact in (False, True):
        mine, other, text = ask(
            ranking,
            profile_query(20, user_id=1, exact=exact),
            profile_query(40, user_id=2, exact=exact),
            profile_query(40, text="a text", exact=exact),
        )
        assert not set(ids_of(mine)) & set(gone)
        assert ids_of(other) == ids_of(text)
        if people.backend.is_exact or exact:
            assert len(mine.hits) == 20
            assert set(ids_of(other)) >= set(gone)


def test_pages_go_on_without_what_is_dismissed_between_them(people: Exercise) -> None:
    ranking = ranking_over(people.database, HashEncoder(), retrieval=people.retrieval)
    (whole,) = ask(ranking, profile_query(JOBS, user_id=1, exact=True))
    expected, seen = ids_of(whole), list[object]()
    cursor: str | None = None
    while True:
        query = profile_query(50, user_id=1, exact=True)
        (page,) = ask(ranking, following(query, cursor))
        seen += ids_of(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        # One of the page that was shown, and one of the next.
        for place in (len(seen) - 3, len(seen) + 2):
            if place < len(expected):
                change = FeedbackChange(1, expected[place], "dismissed")  # type: ignore[arg-type]
                assert record(people.database, change) == [None]
                if place >= len(seen):
                    del expected[place]
    assert seen == expected


def following(query: Query, cursor: str | None) -> Query:
    """The query for the page after a cursor."""
    after = None if cursor is None else from_text(cursor)
    return replace(query, constraints=Constraints(after=after))

"""The rankings by skills: a job that a user dismissed or applied to never returns."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.query.constraints import Constraints
from app.query.cursor import from_text
from app.query.feedback import FeedbackChange
from app.query.query import Query
from app.query.result import Result
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher
from app.ranking.registry import build_rankings
from app.ranking.relevance import NO_OTHER_JOB
from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database
from tests.integration.skills.test_hybrid import texts
from tests.integration.skills.test_ranking import insert
from tests.integration.test_feedback import record
from tests.support.encoders import BlendEncoder
from tests.support.queries import profile_query, results
from tests.support.ranking import SCOPE
from tests.support.rows import add_user
from tests.support.skills import fill

JOBS = 120
BY_SKILLS = pytest.mark.parametrize("name", ["skills", "hybrid"])


@pytest.fixture
def dispatcher(database: Database, database_url: str, tmp_path: Path) -> Dispatcher:
    """All rankings, over jobs and two users with the same text."""
    insert(database, "skill_job1", texts(JOBS, seed=3))
    for user in (1, 2):
        add_user(database_url, user, "aword1 bword2, cword3, aword4 cword5")
    fill(database, BlendEncoder())
    scan = FullScan(version=BlendEncoder.version, scan_chunk_rows=16)
    context = RankingContext(database, BlendEncoder(), scan, tmp_path)
    return Dispatcher(build_rankings(context))


def ask(dispatcher: Dispatcher, *queries: Query) -> list[Result]:
    return results(dispatcher.run(queries, SCOPE))


def ids_of(result: Result) -> list[object]:
    return [hit.id for hit in result.hits]


@BY_SKILLS
@pytest.mark.parametrize("distinct", [False, True])
def test_what_is_dismissed_is_left_out_for_this_user_alone(
    dispatcher: Dispatcher, database: Database, name: str, distinct: bool
) -> None:
    query = profile_query(20, user_id=1, ranking=name, distinct=distinct)
    (before,) = ask(dispatcher, query)
    gone = ids_of(before)[::2]
    changes = [FeedbackChange(1, id_, "dismissed") for id_ in gone]  # type: ignore[arg-type]
    assert record(database, *changes) == [None] * len(gone)
    mine, other = ask(dispatcher, query, replace(query, source_id=2))
    assert not set(ids_of(mine)) & set(gone)
    assert len(mine.hits) == 20
    assert ids_of(other) == ids_of(before)
    assert mine.analyzed == before.analyzed
    for change in changes:
        record(database, replace(change, undo=True))
    (again,) = ask(dispatcher, query)
    assert ids_of(again) == ids_of(before)


@BY_SKILLS
def test_pages_go_on_without_what_is_dismissed_between_them(
    dispatcher: Dispatcher, database: Database, name: str
) -> None:
    query = profile_query(JOBS, user_id=1, ranking=name)
    (whole,) = ask(dispatcher, query)
    expected, seen = ids_of(whole), list[object]()
    cursor: str | None = None
    assert len(expected) > 20
    while True:
        after = None if cursor is None else from_text(cursor)
        page_query = replace(query, top_k=9, constraints=Constraints(after=after))
        (page,) = ask(dispatcher, page_query)
        seen += ids_of(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        for place in (len(seen) - 3, len(seen) + 2):
            if place < len(expected):
                change = FeedbackChange(1, expected[place], "dismissed")  # type: ignore[arg-type]
                assert record(database, change) == [None]
                if place >= len(seen):
                    del expected[place]
    assert seen == expected


@pytest.mark.parametrize("name", ["similarity", "skills", "hybrid"])
def test_where_only_feedback_leaves_no_job_the_answer_says_so(
    dispatcher: Dispatcher, database: Database, name: str
) -> None:
    query = profile_query(JOBS, user_id=1, ranking=name)
    (whole,) = ask(dispatcher, query)
    assert whole.message != NO_OTHER_JOB
    changes = [FeedbackChange(1, id_, "applied") for id_ in texts(JOBS, seed=3)]
    assert record(database, *changes) == [None] * JOBS
    mine, other = ask(dispatcher, query, replace(query, source_id=2))
    assert (mine.hits, mine.message) == ([], NO_OTHER_JOB)
    assert len(other.hits) == len(whole.hits)

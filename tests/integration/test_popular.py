"""Users of whom nothing is known get the jobs to which most users applied."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.commands.migrate import migrate
from app.query.constraints import AnyOf, Constraints
from app.query.cursor import from_text
from app.query.feedback import EventName, FeedbackChange
from app.query.ids import Id
from app.query.query import Query
from app.query.result import Result
from app.query.variety import Variety
from app.ranking.base import RankingContext
from app.ranking.dispatch import Dispatcher
from app.ranking.popular import POPULAR, PopularJobs
from app.ranking.registry import build_rankings
from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database
from tests.integration.test_feedback import record
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import SCOPE
from tests.support.rows import add_job, add_user

NAMES = ("similarity", "skills", "hybrid")
UNKNOWN = 9
# Users 1, 2 and 3 applied to these jobs.
APPLIED: dict[Id, list[Id]] = {1: [2, 5], 2: [5], 3: [2, 5, 1]}
ORDER = [5, 2, 1, 7, 6, 4, 3]


@pytest.fixture
def dispatcher(database: Database, database_url: str, tmp_path: Path) -> Dispatcher:
    """Seven jobs, three users who applied, and two of whom nothing is known."""
    run(database_url, "ALTER TABLE skill_job1 ADD COLUMN users text")
    for number in range(1, 8):
        add_job(database_url, number, f"skill {number}")
    run(database_url, "UPDATE skill_job1 SET users = 'few' WHERE job_id IN (1, 3)")
    for user in (1, 2, 3):
        add_user(database_url, user, "skill 1")
    for user in (UNKNOWN, 10):
        add_user(database_url, user, " ")
    for person, jobs in APPLIED.items():
        give(database, person, "applied", *jobs)
    return dispatcher_over(database, tmp_path)


def dispatcher_over(database: Database, folder: Path) -> Dispatcher:
    encoder = HashEncoder()
    scan = FullScan(version=encoder.version, scan_chunk_rows=16)
    context = RankingContext(database, encoder, scan, folder, job_columns=("users",))
    return Dispatcher(build_rankings(context), fallback=PopularJobs(context))


def give(database: Database, user: Id, event: EventName, *jobs: Id) -> None:
    changes = [FeedbackChange(user, job, event) for job in jobs]
    assert record(database, *changes) == [None] * len(changes)


def ask(dispatcher: Dispatcher, *queries: Query) -> list[Result]:
    return results(dispatcher.run(queries, SCOPE))


def ids_of(result: Result) -> list[Id]:
    return [hit.id for hit in result.hits]


@pytest.mark.parametrize("name", NAMES)
def test_most_applied_jobs_come_first_and_then_the_last(
    dispatcher: Dispatcher, name: str
) -> None:
    known, unknown = ask(
        dispatcher,
        profile_query(10, user_id=1, ranking=name),
        profile_query(10, user_id=UNKNOWN, ranking=name),
    )
    assert ids_of(unknown) == ORDER
    assert unknown.message == POPULAR
    assert known.message != POPULAR
    hit = unknown.hits[0]
    assert (hit.text, hit.similarity_score, hit.match_score) == ("skill 5", None, None)
    assert hit.columns == {"users": None}


def test_pages_are_parts_of_the_whole_also_when_jobs_are_left_out(
    dispatcher: Dispatcher, database: Database
) -> None:
    query = profile_query(2, user_id=UNKNOWN)
    seen: list[Id] = []
    cursor: str | None = None
    left_out = {2, 7}
    give(database, UNKNOWN, "dismissed", 2)
    while True:
        after = None if cursor is None else from_text(cursor)
        constraints = Constraints(frozenset({7}), after=after)
        (page,) = ask(dispatcher, replace(query, constraints=constraints))
        assert len(page.hits) == 2 or page.next_cursor is None
        seen += ids_of(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        # The user's own choice in between does not count for others' pages.
        give(database, UNKNOWN, "dismissed", seen[0])
    assert seen == [id_ for id_ in ORDER if id_ not in left_out]


def test_a_cursor_belongs_to_its_user_and_filters(dispatcher: Dispatcher) -> None:
    (page,) = ask(dispatcher, profile_query(2, user_id=UNKNOWN))
    assert page.next_cursor is not None
    constraints = Constraints(after=from_text(page.next_cursor))
    for query in (
        profile_query(2, user_id=10, constraints=constraints),
        profile_query(
            2,
            user_id=UNKNOWN,
            constraints=constraints,
            filters=(AnyOf("users", ("few",)),),
        ),
    ):
        (outcome,) = dispatcher.run([query], SCOPE)
        assert "The cursor belongs to another query" in str(outcome)


def test_filters_select_and_a_column_may_be_called_as_ours(
    dispatcher: Dispatcher,
) -> None:
    filters = (AnyOf("users", ("few",)),)
    (found,) = ask(dispatcher, profile_query(9, user_id=UNKNOWN, filters=filters))
    assert ids_of(found) == [1, 3]


def test_a_minimum_score_leaves_nothing(dispatcher: Dispatcher) -> None:
    constraints = Constraints(min_score=-1)
    query = profile_query(9, user_id=UNKNOWN, constraints=constraints)
    (found,) = ask(dispatcher, query)
    assert (found.hits, found.message) == ((), "This user has no skills to match.")


def test_a_saved_job_is_a_profile(dispatcher: Dispatcher, database: Database) -> None:
    give(database, UNKNOWN, "saved", 4)
    (found,) = ask(dispatcher, profile_query(1, user_id=UNKNOWN))
    assert ids_of(found) == [4]
    assert found.message is None


def test_ids_that_are_texts_are_in_the_order_of_their_bytes(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    run(
        database_url,
        "ALTER TABLE skill_job1 ADD COLUMN users text;"
        " ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        " ALTER TABLE skill_job1 ALTER job_id TYPE text USING NULL::text",
    )
    list(migrate(database_url))  # the states have the new type, too
    for id_ in ("b", "ä", "Z", "a%"):
        add_job(database_url, id_, f"skill {id_}")
    add_user(database_url, UNKNOWN, None)
    query = profile_query(3, user_id=UNKNOWN)
    dispatcher = dispatcher_over(database, tmp_path)
    (first,) = ask(dispatcher, query)
    assert ids_of(first) == ["ä", "b", "a%"]
    assert first.next_cursor is not None
    constraints = Constraints(after=from_text(first.next_cursor))
    (second,) = ask(dispatcher, replace(query, constraints=constraints))
    assert ids_of(second) == ["Z"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_few_popular_jobs_of_each_value_on_all_pages_together(
    dispatcher: Dispatcher, database_url: str, database: Database, name: str, size: int
) -> None:
    # Jobs 1 and 3 are of "few": the first of them in the order takes the one place.
    run(database_url, "UPDATE skill_job1 SET users = 'many' WHERE job_id IN (5, 7, 4)")
    variety = Variety((("users", 1),), 0.5)
    query = profile_query(size, user_id=UNKNOWN, ranking=name, variety=variety)
    seen: list[Id] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        after = None if cursor is None else from_text(cursor)
        asked = replace(query, constraints=Constraints(after=after))
        (page,) = ask(dispatcher, asked)
        assert page.message == POPULAR
        seen += ids_of(page)
        cursor = page.next_cursor
        give(database, 1, "saved", 6)  # of somebody else, and no application
    assert seen == [5, 2, 1, 6]

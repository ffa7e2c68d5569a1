"""The story of an answer over a real database; the encoder is not the model."""

import uuid
from collections.abc import Callable

import pytest

from app.batching.batcher import BatchScope
from app.commands.migrate import migrate
from app.deadline import Deadline
from app.errors import AppError, SchemaError, UserNotFoundError
from app.query.query import Query
from app.query.result import Outcome, Result
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import add_job, add_user


def ask(database: Database, *queries: Query) -> list[Outcome]:
    return rank(ranking_over(database, HashEncoder()), queries)


def answer(database: Database, query: Query) -> Result:
    (only,) = results(ask(database, query))
    return only


def ids(found: Result) -> list[object]:
    return [job.id for job in found.hits]


def test_the_jobs_of_a_user_come_best_first_with_their_texts(
    database: Database, database_url: str
) -> None:
    for number in range(40):
        add_job(database_url, number, f"skill {number}")
    add_user(database_url, 7, "skill 11")

    found = answer(database, profile_query(3, user_id=7))

    best = found.hits[0]
    assert (best.id, best.similarity_score, best.text) == (11, 1.0, "skill 11")
    assert len(found.hits) == 3
    assert found.analyzed == 40
    scores = [job.similarity_score or 0.0 for job in found.hits]
    assert scores == sorted(scores, reverse=True)


def test_f18_an_unknown_user_fails_alone_in_a_shared_batch(
    database: Database, database_url: str
) -> None:
    add_job(database_url, 1, "python")
    add_user(database_url, 7, "python")
    known, unknown, text = ask(
        database,
        profile_query(1, user_id=7),
        profile_query(1, user_id=8),
        profile_query(1, text="python"),
    )
    assert isinstance(known, Result)
    assert isinstance(text, Result)
    assert known.hits == text.hits
    assert isinstance(unknown, UserNotFoundError)


@pytest.mark.parametrize("skills", [None, "", " \n\t", "\u2003"])
def test_f20_a_user_without_skills_gets_no_jobs_and_a_remark(
    database: Database, database_url: str, skills: str | None
) -> None:
    add_job(database_url, 1, "python")
    add_user(database_url, 7, skills)
    found = answer(database, profile_query(1, user_id=7))
    assert found.hits == ()
    assert found.message == "This user has no skills to match."


UUIDS = [str(uuid.UUID(int=n << 72)) for n in (3, 1, 2)]


@pytest.mark.parametrize(
    ("column", "stored", "expected"),
    [
        ("integer", [3, 1, -2], [-2, 1, 3]),
        ("smallint", [3, 1, 2], [1, 2, 3]),
        ("bigint", [2**62, 1, -(2**62)], [-(2**62), 1, 2**62]),
        ("uuid", UUIDS, sorted(UUIDS)),
        # In the C collation, whatever the collation of the column.
        ("text", ["b", "ä", "Z"], ["Z", "b", "ä"]),
        ("varchar(9)", ["job-10", "job-9", ""], ["", "job-10", "job-9"]),
    ],
)
def test_f32_ids_of_every_type_work_for_jobs_and_users(
    database: Database,
    database_url: str,
    column: str,
    stored: list[object],
    expected: list[object],
) -> None:
    for table, name in (("skill_job1", "job_id"), ("users", "user_id")):
        run(
            database_url,
            f"ALTER TABLE {table} ALTER {name} DROP IDENTITY IF EXISTS;"
            f" ALTER TABLE {table} ALTER {name} TYPE {column} USING NULL::{column}",
        )
    list(migrate(database_url))  # the states have the new type, too
    for id_ in stored:
        add_job(database_url, id_, "python")
        add_user(database_url, id_, "python")

    user_id = stored[1]
    assert isinstance(user_id, int | str)
    found = answer(database, profile_query(5, user_id=user_id))

    assert ids(found) == expected
    assert {job.text for job in found.hits} == {"python"}


def test_an_id_is_found_as_text_and_as_a_number(
    database: Database, database_url: str
) -> None:
    add_user(database_url, 7, "python")
    assert isinstance(ask(database, profile_query(1, user_id="7"))[0], Result)


@pytest.mark.parametrize("user_id", ["x", "7.0", " 7", "", "9" * 19, 2**63, "\x00"])
def test_an_id_that_the_column_cannot_hold_is_an_unknown_user(
    database: Database, user_id: str | int
) -> None:
    (only,) = ask(database, profile_query(1, user_id=user_id))
    assert str(only) == "No user has this user_id."


def test_f44_a_missing_column_is_named_with_the_command_that_fixes_it(
    database: Database, database_url: str
) -> None:
    run(database_url, "ALTER TABLE skill_job1 DROP COLUMN embedding CASCADE")
    with pytest.raises(SchemaError) as raised:
        ask(database, profile_query(1, text="python"))
    assert str(raised.value) == (
        "The table skill_job1 has no column embedding; run `python scripts/migrate.py`."
    )


def test_a_column_that_changes_its_type_is_noticed(
    database: Database, database_url: str
) -> None:
    recommender = ranking_over(database, HashEncoder())
    question = [profile_query(1, text="python")]
    rank(recommender, question)
    run(
        database_url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY;"
        " ALTER TABLE skill_job1 ALTER job_id TYPE text",
    )
    add_job(database_url, "job-1", "python")
    with pytest.raises(AppError):
        rank(recommender, question)
    (found,) = rank(recommender, question)
    assert isinstance(found, Result)
    assert ids(found) == ["job-1"]


def test_f31_a_scan_sees_one_snapshot(database: Database, database_url: str) -> None:
    """The texts are read after the scan; a row deleted meanwhile still has one."""
    for number in range(1, 100):
        add_job(database_url, number, "python")

    def delete_all() -> bool:
        run(database_url, "DELETE FROM skill_job1")
        run(database_url, "INSERT INTO skill_job1 (job_id, skills) VALUES (999, 'x')")
        return False

    recommender = ranking_over(database, HashEncoder())
    scope = BatchScope(deadline=Deadline.after(60), abandoned=delete_once(delete_all))
    query = profile_query(2, text="python")
    (found,) = recommender.rank(query.key, [query], scope)

    assert isinstance(found, Result)
    assert found.analyzed == 99
    assert [job.text for job in found.hits] == ["python", "python"]


def delete_once(action: Callable[[], bool]) -> Callable[[], bool]:
    """Calls the action at the first call only: in the middle of the scan."""
    done: list[bool] = []

    def called() -> bool:
        if not done:
            done.append(action())
        return False

    return called

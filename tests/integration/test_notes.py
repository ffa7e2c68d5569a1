"""New rows are noted; the backfill gives them a state before it claims rows."""

from contextlib import closing

import psycopg2
import pytest

from app.storage.claims import ADMITTED_ROWS
from app.storage.codec import to_bytes
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs, add_user, admit
from tests.support.skills import all_work, fill, skills_of

UNKEYED = (
    "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey;"
    " INSERT INTO skill_job1 VALUES (1, 'c')"
)
NOTES = "SELECT (SELECT count(*) FROM recommender.new_job)"
STATES = "SELECT job_id, state::text, copies FROM recommender.job_state ORDER BY 1"


def test_f94_a_new_row_costs_a_note_and_counts_as_pending(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", " ", None])
    add_user(database_url, 1, "a")
    add_user(database_url, 2, None)
    assert run(database_url, STATES) == []
    work = all_work(database, HashEncoder())
    assert [backfill.remaining() for backfill in work.backfills] == [1, 1]
    assert work.any_waiting()
    jobs, users = (backfill.coverage() for backfill in work.backfills)
    assert (jobs.pending, jobs.blank, users.pending, users.blank) == (1, 2, 1, 1)
    for _ in range(2):  # once more, to see that no skill is stale
        list(work.run())
    jobs, users = (backfill.coverage() for backfill in work.backfills)
    assert (jobs.embedded, jobs.blank, users.embedded, users.blank) == (1, 2, 1, 1)
    assert not work.any_waiting()


@pytest.mark.parametrize(
    ("statement", "states"),
    [
        ("UPDATE skill_job1 SET skills = 'b'", [(1, "pending", 1)]),
        ("UPDATE skill_job1 SET skills = ' '", [(1, "blank", 1)]),
        ("UPDATE skill_job1 SET job_id = 2", [(2, "pending", 1)]),
        ("DELETE FROM skill_job1", []),
        ("TRUNCATE skill_job1", []),
        ("DELETE FROM skill_job1; INSERT INTO skill_job1 VALUES (1, 'c')",
         [(1, "pending", 1)]),
        (UNKEYED, [(1, "pending", 2)]),
    ],
)  # fmt: skip
def test_whatever_becomes_of_a_noted_row_its_state_is_that_of_the_table(
    database_url: str, statement: str, states: list[tuple[object, ...]]
) -> None:
    add_pending_jobs(database_url, ["a"])
    run(database_url, statement)
    admit(database_url)
    assert run(database_url, STATES) == states
    assert run(database_url, NOTES) == [(0,)]


@pytest.mark.parametrize("entity", ["jobs", "users"])
def test_more_blank_rows_than_get_a_state_at_once_hide_no_text(
    database: Database, database_url: str, entity: str
) -> None:
    table = {"jobs": "skill_job1", "users": "users"}[entity]
    run(
        database_url,
        f"INSERT INTO {table} (skills) SELECT CASE WHEN n % 2 = 0 THEN ' ' END"
        f" FROM generate_series(1, {2 * ADMITTED_ROWS}) AS n"
        " UNION ALL SELECT 'python'",
    )
    work = all_work(database, HashEncoder())
    for backfill in work.backfills:
        embedded = sum(done.embedded for done in backfill.run())
        assert embedded == (backfill.entity == entity)
        assert backfill.remaining() == 0


@pytest.mark.parametrize("text", ["b", " "])
def test_f90_an_edit_that_saw_no_state_is_not_lost(
    database: Database, database_url: str, text: str
) -> None:
    add_user(database_url, 1, "a")
    with closing(psycopg2.connect(database_url)) as editor, editor.cursor() as cursor:
        cursor.execute("UPDATE users SET skills = %s", [text])
        fill(database, HashEncoder())  # of the text before
        editor.commit()
    fill(database, HashEncoder())
    wanted = [[text]] if text.strip() else []
    assert skills_of(database_url, "user_state", "user_id") == wanted


def test_f95_an_editor_with_an_open_transaction_holds_up_no_other_row(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b", "c"])
    vector = to_bytes(direction("b"))
    with closing(psycopg2.connect(database_url)) as editor, editor.cursor() as cursor:
        cursor.execute(
            "UPDATE skill_job1 SET embedding = %s WHERE job_id = 2", [vector]
        )
        fill(database, HashEncoder())
        assert run(database_url, STATES) == [
            (1, "embedded", 1),
            (3, "embedded", 1),
        ]
        editor.commit()
    fill(database, HashEncoder())
    assert skills_of(database_url) == [["a"], ["b"], ["c"]]


def test_f101_the_room_of_many_notes_is_given_back(
    database: Database, database_url: str
) -> None:
    run(
        database_url,
        "INSERT INTO users (user_id, skills)"
        " SELECT n, ' ' FROM generate_series(1, 20000) AS n",
    )
    work = all_work(database, HashEncoder())
    while work.any_waiting():
        list(work.run())
    size = "SELECT pg_relation_size('recommender.new_user')"
    assert run(database_url, size) == [(0,)]

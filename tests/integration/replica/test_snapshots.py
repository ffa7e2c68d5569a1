"""A replica answers as of the request's own snapshot, whoever writes beside it."""

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from app.commands.migrate import migrate
from app.deadline import Deadline
from app.query.constraints import (
    AnyOf,
    Condition,
    Constraints,
    CursorPosition,
    Range,
)
from app.ranking.retrieval.replica import filling as filling_module
from app.ranking.retrieval.replica import search as search_module
from app.storage.changes import XidSnapshot
from app.storage.connection.transaction import Transaction
from tests.integration.replica.conftest import JOBS
from tests.integration.replica.replicas import Exercise, add_jobs, around, generation
from tests.support.postgres import run
from tests.support.queries import job_query, profile_query

OTHER = around(1, seed=3)[0].tobytes()
EDIT = "UPDATE skill_job1 SET embedding = %s WHERE job_id %% 9 = %s"


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """A connection whose transactions stay open until they are committed."""
    with closing(psycopg2.connect(url)) as connection:
        yield connection


@contextmanager
def snapshot(exercise: Exercise) -> Iterator[Transaction]:
    """One that is taken now."""
    with exercise.database.snapshot(Deadline.after(60)) as transaction:
        transaction.rows(psycopg2.sql.SQL("SELECT pg_current_snapshot()"))
        yield transaction


def test_a_fill_is_complete_and_then_costs_nothing(filled: Exercise) -> None:
    found = filled.check()
    assert found is not None
    assert (found.analyzed, found.volume.rows) == (JOBS, 0)


def test_requests_are_served_by_the_full_scan_until_the_fill_is_complete(
    empty: Exercise,
) -> None:
    add_jobs(empty.url, around(30), range(30))
    assert empty.check() is None
    empty.pass_once()
    assert empty.check() is not None


def test_an_open_transaction_is_seen_once_it_commits_and_not_before(
    filled: Exercise,
) -> None:
    """Its xid is older than those of others that were taken over since."""
    with writing(filled.url) as early, early.cursor() as cursor:
        cursor.execute(EDIT, (OTHER, 1))
        filled.check()
        run(filled.url, EDIT, (OTHER, 2))
        for _ in range(2):
            assert filled.check() is not None
            filled.pass_once()
        assert filled.check() is not None
        early.commit()
    found = filled.check()
    assert found is not None
    assert found.volume.rows > 0
    filled.pass_once()
    assert filled.check() is not None


def test_who_waited_for_a_row_may_record_an_older_transaction_than_before(
    filled: Exercise,
) -> None:
    """`changed` goes back then, and the row is still read again."""
    with writing(filled.url) as early, early.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        run(filled.url, "UPDATE skill_job1 SET embedding = NULL")
        filled.pass_once()
        assert filled.check().analyzed == 0  # type: ignore[union-attr]
        cursor.execute(EDIT, (OTHER, 1))
        early.commit()
    assert filled.check().analyzed > 0  # type: ignore[union-attr]


def test_an_older_snapshot_is_answered_as_it_is(filled: Exercise) -> None:
    """While later ones have caught up, and so have the files."""
    with snapshot(filled) as oldest:
        run(filled.url, EDIT, (OTHER, 1))
        with snapshot(filled) as older:
            run(filled.url, EDIT, (OTHER, 2))
            assert filled.check() is not None
            assert filled.check_in(oldest) is not None  # from the view before
            filled.pass_once()
            assert filled.check() is not None
            filled.check_in(older)
            filled.check_in(oldest)
            run(filled.url, "DELETE FROM skill_job1 WHERE job_id % 2 = 0")
            filled.check()
            filled.pass_once()
            filled.check_in(older)
            filled.check_in(oldest)


def test_changes_too_many_for_a_request_are_left_to_the_keeper(
    filled: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MOST_CHANGES", 50)
    monkeypatch.setattr(filling_module, "CHANGES_SLICE_ROWS", 16)
    add_jobs(filled.url, around(50, seed=9), range(10_000, 10_050))
    assert filled.check() is not None
    add_jobs(filled.url, around(51, seed=9), range(20_000, 20_051))
    assert filled.check() is None
    filled.pass_once()
    found = filled.check()
    assert found is not None
    assert (found.analyzed, found.volume.rows) == (JOBS + 101, 0)


def test_what_changes_while_slices_are_read_is_read_again(
    empty: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the fill, and of a large change."""
    monkeypatch.setattr(filling_module, "FILL_SLICE_ROWS", 7)
    monkeypatch.setattr(filling_module, "CHANGES_SLICE_ROWS", 7)
    add_jobs(empty.url, around(100), range(0, 1000, 10))
    numbers = itertools.count()
    slices = empty.replica.keeper._filling._look

    def changing(*args: object) -> object:
        number = next(numbers)
        run(empty.url, "DELETE FROM skill_job1 WHERE job_id = %s", (number * 30,))
        run(empty.url, EDIT, (OTHER, number % 9))
        add_jobs(empty.url, around(2, seed=number), [number * 10 + 1, number * 10 + 2])
        return slices(*args)  # type: ignore[arg-type]

    empty.replica.keeper._filling._look = changing  # type: ignore[assignment, method-assign]
    empty.pass_once()
    assert next(numbers) > 20
    assert empty.check() is not None
    empty.replica.keeper._filling._look = slices  # type: ignore[method-assign]
    empty.pass_once()
    assert empty.check() is not None


LEVELS: list[Condition] = [
    AnyOf("level", (1,)),
    AnyOf("level", (None, 2)),
    AnyOf("level", ()),
    Range("level", (("gte", 0), ("lt", 2))),
]


def test_the_database_evaluates_filters_and_sends_ids(filled: Exercise) -> None:
    run(filled.url, "ALTER TABLE skill_job1 ADD level integer")
    run(filled.url, "UPDATE skill_job1 SET level = job_id % 4 WHERE job_id % 4 < 3")
    filled.columns = ["level"]
    for is_taken_over in (False, True):
        for condition in LEVELS:
            query = profile_query(25, filters=(condition,))
            found = filled.check(queries=[query] * 2)
            assert found is not None
            assert found.volume.bytes < 20_000  # the stream reads 1,560 a job
        if not is_taken_over:
            # Changes that are still in memory are filtered as well.
            run(filled.url, EDIT, (OTHER, 1))
            filled.check()
            run(filled.url, "UPDATE skill_job1 SET level = 2 WHERE job_id % 5 = 0")


def test_of_two_jobs_with_one_id_a_filter_may_mean_one(filled: Exercise) -> None:
    run(filled.url, "ALTER TABLE skill_job1 ADD level integer")
    run(filled.url, "ALTER TABLE skill_job1 DROP CONSTRAINT skill_job1_pkey")
    run(
        filled.url,
        "INSERT INTO skill_job1 (job_id, skills, embedding, level)"
        " SELECT job_id, skills, %s, 1 FROM skill_job1 WHERE job_id %% 9 = 1",
        (OTHER,),
    )
    filled.columns = ["level"]
    query = profile_query(25, filters=(AnyOf("level", (1,)),))
    for _ in range(2):
        assert filled.check(queries=[query]) is None
        filled.pass_once()
    assert filled.check() is not None


def test_users_are_left_to_the_full_scan(filled: Exercise) -> None:
    assert filled.check(queries=[job_query(5, 1, target="users")]) is None
    assert filled.check(queries=[job_query(5, 1)]) is not None


def test_pages_exclusions_and_minimum_scores_are_those_of_the_stream(
    filled: Exercise,
) -> None:
    first = filled.check()
    assert first is not None
    last = first.ranked[0][4]
    after = CursorPosition(last.score, last.second, last.id)
    queries = [
        profile_query(10, constraints=constraints)
        for constraints in (
            Constraints(after=after),
            Constraints(exclude=frozenset(range(0, 3000, 2)), min_score=0.2),
            Constraints(exclude=frozenset({"no id", 2**63})),
            Constraints(min_score=2.0),
        )
    ]
    assert filled.check(queries=queries) is not None


@pytest.mark.parametrize(
    ("id_type", "ids"),
    [
        ("smallint", [*range(-50, 50), -(2**15), 2**15 - 1]),
        ("bigint", [*range(-50, 50), -(2**63), 2**63 - 1]),
        ("uuid", [f"{n:08x}-0000-4000-8000-{'0' * 12}" for n in range(100)]),
        ("text", [f"job {'ü' * (n % 5)}{n}" for n in range(100)] + ["", "Z"]),
        ("varchar(60)", [f"job {'é' * (n % 5)}{n}" for n in range(100)] + ["", "Z"]),
    ],
)  # fmt: skip
def test_ids_of_every_type_are_filled_changed_and_deleted(
    empty: Exercise, monkeypatch: pytest.MonkeyPatch, id_type: str, ids: list[object]
) -> None:
    monkeypatch.setattr(filling_module, "FILL_SLICE_ROWS", 17)
    monkeypatch.setattr(filling_module, "CHANGES_SLICE_ROWS", 7)
    run(
        empty.url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        f" ALTER TABLE skill_job1 ALTER job_id TYPE {id_type} USING NULL::{id_type}",
    )
    list(migrate(empty.url))
    rows = around(len(ids))
    rows[50:90] = rows[:40]
    run(
        empty.url,
        "INSERT INTO skill_job1 (job_id, skills, embedding)"
        f" SELECT id::{id_type}, 'x', embedding"
        " FROM unnest(%s::text[], %s::bytea[]) AS new (id, embedding)",
        ([str(id_) for id_ in ids], [row.tobytes() for row in rows]),
    )
    empty.pass_once()
    found = empty.check()
    assert found is not None
    assert found.analyzed == len(ids)
    some = f"job_id = ANY (%s::{id_type}[])"
    run(empty.url, f"DELETE FROM skill_job1 WHERE {some}", (list(map(str, ids[::5])),))
    edited = list(map(str, ids[::3]))
    run(
        empty.url,
        f"UPDATE skill_job1 SET embedding = %s WHERE {some}", (OTHER, edited),
    )  # fmt: skip
    assert empty.check() is not None
    empty.pass_once()
    found = empty.check()
    assert found is not None
    assert found.volume.rows == 0


def test_texts_that_are_too_long_for_a_file_are_left_to_the_full_scan(
    empty: Exercise,
) -> None:
    run(
        empty.url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        " ALTER TABLE skill_job1 ALTER job_id TYPE text USING job_id::text",
    )
    list(migrate(empty.url))
    add_jobs(empty.url, around(20), [f"{n}" for n in range(20)])
    empty.pass_once()
    assert empty.check() is not None
    # Longer than the files are wide: they are made anew, wider.
    add_jobs(empty.url, around(1), ["x" * 40])
    assert empty.check() is not None
    for _ in range(2):
        empty.pass_once()
        empty.check()
    assert empty.check() is not None
    add_jobs(empty.url, around(1), ["x" * 100])
    for _ in range(3):
        empty.check()
        empty.pass_once()
    assert empty.check() is None


def test_files_with_many_dead_rows_are_made_anew(
    filled: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling_module, "FEWEST_DEAD", 10)
    folder = filled.replica.keeper._files.folder
    before = {path.name for path in folder.iterdir()}
    with snapshot(filled) as older:
        run(filled.url, "DELETE FROM skill_job1 WHERE job_id % 2 = 0")
        filled.pass_once()
        found = filled.check()
        assert found is not None
        filled.check_in(older)
    stored = filled.replica.views.latest()[0].stored
    assert len(stored.ids) == found.analyzed
    after = {path.name for path in folder.iterdir()}
    assert len(after) == len(before)
    assert after != before


def test_processes_share_the_files_and_one_writes(
    filled: Exercise, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        others = [Exercise(filled.url, tmp_path / "replica") for _ in range(2)]
        for other in others:
            stack.callback(other.close)
            other.pass_once()
            assert other.check() is not None
        run(filled.url, EDIT, (OTHER, 4))
        for other in (*others, filled, *others):
            assert other.check() is not None
            other.pass_once()
        assert all(each.check().volume.rows == 0 for each in others)  # type: ignore[union-attr]
        # The writer ends, and another one takes its place.
        filled.replica.keeper.close()
        run(filled.url, EDIT, (OTHER, 5))
        for other in others:
            other.pass_once()
        assert others[1].check().volume.rows == 0 or others[0].check()  # type: ignore[union-attr]


def test_random_changes_beside_open_transactions_and_passes(
    filled: Exercise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some hundred steps of several writers, whose transactions end when they like."""
    monkeypatch.setattr(filling_module, "CHANGES_SLICE_ROWS", 16)
    monkeypatch.setattr(filling_module, "FEWEST_DEAD", 100)
    random.seed(11)
    served = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(writing(filled.url)) for _ in range(3)]
        for writer in writers:
            with writer.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
                writer.commit()
        for step in range(150):
            change_something(random.choice(writers), step)
            if step % 3 == 0:
                served += filled.check() is not None
            if random.random() < 0.2:
                filled.pass_once()
    filled.pass_once()
    assert filled.check() is not None
    assert served > 30


def change_something(writer: Connection, step: int) -> None:
    """One statement of an open transaction, or its end."""
    id_ = random.randrange(3000)
    vector = around(1, seed=step)[0].tobytes()
    statements = [
        ("UPDATE skill_job1 SET embedding = %s WHERE job_id BETWEEN %s AND %s",
         (vector, id_, id_ + 50)),
        ("DELETE FROM skill_job1 WHERE job_id BETWEEN %s AND %s", (id_, id_ + 30)),
        (("INSERT INTO skill_job1 (job_id, skills, embedding) VALUES (%s, 'x', %s)"
         " ON CONFLICT (job_id) DO UPDATE SET embedding = excluded.embedding"),
         (id_, vector)),
        ("UPDATE skill_job1 SET skills = 'edited' WHERE job_id = %s", (id_,)),
        (("SAVEPOINT one; DELETE FROM skill_job1 WHERE job_id < %s;"
         " ROLLBACK TO one"), (id_,)),
    ]  # fmt: skip
    statement, parameters = random.choice(statements)
    try:
        with writer.cursor() as cursor:
            cursor.execute(statement, parameters)
    except psycopg2.Error:
        writer.rollback()
    if random.random() < 0.5:
        random.choice([writer.commit, writer.commit, writer.rollback])()


def test_requests_at_the_same_time_each_see_their_own_snapshot(
    filled: Exercise,
) -> None:
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            run(filled.url, EDIT, (around(1, seed=number)[0].tobytes(), number % 9))

    def keep() -> None:
        while not stop.is_set():
            filled.pass_once()

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(write), pool.submit(keep)]
        try:
            for _ in range(60):
                filled.check()
        finally:
            stop.set()
        for job in jobs:
            job.result()
    assert filled.check() is not None


@pytest.mark.parametrize(
    ("earlier", "later", "is_seen"),
    [
        ("10:10:", "10:10:", True),
        ("10:10:", "12:12:", True),
        ("12:12:", "10:10:", False),
        ("10:14:10,12", "12:14:12", True),
        ("12:14:12", "10:14:10,12", False),
        # 11 had ended for the first and runs for the second.
        ("10:14:10", "11:16:11,15", False),
        ("10:14:10,11", "11:16:11,15", True),
        # Only those that began later run.
        ("14:14:", "15:16:15", True),
    ],
)
def test_a_snapshot_is_seen_by_a_later_one(
    earlier: str, later: str, is_seen: bool
) -> None:
    assert XidSnapshot(earlier).is_seen_by(XidSnapshot(later)) is is_seen


def test_snapshots_are_compared_as_the_server_takes_them(filled: Exercise) -> None:
    texts = []
    with ExitStack() as stack:
        writers = [stack.enter_context(writing(filled.url)) for _ in range(3)]
        random.seed(3)
        for _ in range(40):
            writer = random.choice(writers)
            with writer.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()")
            if random.random() < 0.6:
                random.choice(writers).commit()
            texts.append(run(filled.url, "SELECT pg_current_snapshot()::text")[0][0])
    snapshots = [XidSnapshot(text) for text in texts]
    for first, second in itertools.combinations(snapshots, 2):
        assert first.is_seen_by(second)
        assert first.text == second.text or not second.is_seen_by(first)
    assert np.unique(texts).size > 10


def test_a_table_that_began_small_gets_a_basis_of_more_rows(
    monkeypatch: pytest.MonkeyPatch, empty: Exercise
) -> None:
    monkeypatch.setattr(filling_module, "FEWEST_BASIS_ROWS", 10)
    folder = empty.replica.keeper._files.folder
    add_jobs(empty.url, around(3), [1, 2, 3])
    empty.pass_once()
    first = generation(folder)
    add_jobs(empty.url, around(200, seed=4), list(range(10, 210)))
    empty.pass_once()
    assert generation(folder) != first
    assert empty.check() is not None
    second = generation(folder)
    add_jobs(empty.url, around(200, seed=5), list(range(300, 500)))
    empty.pass_once()
    assert generation(folder) == second
    assert empty.check() is not None

"""The rows that every backend compares, in one snapshot; and cancellation."""

import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial

import numpy as np
import psycopg2
import pytest

from app.batching.batcher import BatchScope
from app.commands.migrate import migrate
from app.deadline import Deadline
from app.errors import DeadlineExceededError
from app.query.constraints import Constraints, CursorPosition
from app.query.result import AbandonedError, Result
from tests.integration.retrieval.conftest import JOBS, Exercise, around
from tests.integration.retrieval.oracle import Oracle
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import job_query, profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import (
    add_job,
    add_jobs,
    add_pending_jobs,
    add_users,
    embed_users,
)

ASKED = around(6, seed=1)
QUERIES = [profile_query(10)] * 6


def test_f28_an_empty_table_gives_empty_lists(empty: Exercise) -> None:
    found = empty.check(ASKED, QUERIES)
    assert found.analyzed == 0
    assert [len(ranked) for ranked in found.ranked] == [0] * 6


def test_no_queries_have_no_results(shared: Exercise) -> None:
    """All users of a batch may be unknown."""
    assert list(shared.search(ASKED[:0], []).ranked) == []


def test_f22_f23_f24_f25_f29_only_sound_rows_of_the_current_model_are_compared(
    empty: Exercise,
) -> None:
    url, sound = empty.url, np.ones(384, "<f4")
    add_job(url, 1, "sound", embedding=sound.tobytes())
    add_job(url, 2, "as the guide writes it", embedding=sound.tobytes(), version=None)
    add_job(url, 3, "longer", embedding=(7 * sound).tobytes())
    run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (10, 'pending')")
    run(url, "INSERT INTO skill_job1 (job_id, skills) VALUES (11, NULL), (12, ' ')")
    add_job(url, 13, "short", embedding=sound.tobytes()[:-1])
    add_job(url, 14, "long", embedding=sound.tobytes() * 2)
    add_job(url, 15, "other", embedding=sound.tobytes(), version="another-model")
    add_job(url, 16, "zero", embedding=bytes(1536))
    for id_, value in ((17, np.nan), (18, np.inf), (19, 3e38)):
        bad = sound.copy()
        bad[5] = value
        add_job(url, id_, f"bad {id_}", embedding=bad.tobytes())
    # Before and after the backend's worker runs.
    for is_settled in (False, True):
        if is_settled:
            empty.settle()
        found = empty.restarted().check(sound[None], [profile_query(30)])
        assert [(row.id, row.score) for row in found.ranked[0]] == [
            (1, 1.0),
            (2, 1.0),
            (3, 1.0),
        ]


def test_what_changes_is_seen_at_once(filled: Exercise) -> None:
    """Before and after the backend's worker runs."""
    url = filled.url
    (before,) = filled.check(ASKED[:1], [profile_query(8)]).ranked
    gone, other, pending, edited, *_ = [row.id for row in before]
    run(url, "DELETE FROM skill_job1 WHERE job_id = %s", (gone,))
    run(
        url,
        "UPDATE skill_job1 SET embedding_version = 'other' WHERE job_id = %s",
        (other,),
    )
    run(
        url,
        "UPDATE skill_job1 SET embedding = NULL, embedding_version = NULL"
        " WHERE job_id = %s",
        (pending,),
    )
    run(
        url,
        "UPDATE skill_job1 SET embedding = %s WHERE job_id = %s",
        ((-ASKED[0]).tobytes(), edited),
    )
    add_job(url, 10**6, "new", embedding=ASKED[0].tobytes())
    for is_settled in (False, True):
        if is_settled:
            filled.settle()
        found = filled.check(ASKED, QUERIES, is_counted=False)
        assert (found.ranked[0][0].id, found.ranked[0][0].score) == (10**6, 1.0)
        assert not {row.id for row in found.ranked[0]} & {gone, other, pending, edited}
        counted = filled.restarted().check(ASKED, QUERIES)
        assert counted.analyzed == JOBS - 3 + 1


@pytest.mark.parametrize("at_call", [1, 2])
def test_f31_a_search_sees_one_snapshot(filled: Exercise, at_call: int) -> None:
    """Rows are inserted and deleted before the read, or between two chunks of it."""
    oracle = Oracle.of(filled.url)

    def change() -> None:
        run(filled.url, "DELETE FROM skill_job1 WHERE job_id < 2000")
        add_job(filled.url, 10**6, "new", embedding=ASKED[0].tobytes())

    abandoned = calling(change, at_call=at_call)
    scope = BatchScope(deadline=Deadline.after(60), abandoned=abandoned)
    filled.check(ASKED[:1], [profile_query(JOBS)], oracle=oracle, scope=scope)
    found = filled.search(ASKED[:1], [profile_query(1)])
    assert found.ranked[0][0].id == 10**6


def calling(action: Callable[[], None], *, at_call: int) -> Callable[[], bool]:
    """A check for cancellation that is always false, and acts at the n-th call."""
    calls: list[None] = []

    def called() -> bool:
        calls.append(None)
        if len(calls) == at_call:
            action()
        return False

    return called


def test_a_search_that_nobody_waits_for_ends_early_and_frees_its_connection(
    filled: Exercise,
) -> None:
    for chunks in (0, 1):
        abandoned = partial(next, iter([False] * chunks + [True]))
        scope = BatchScope(deadline=Deadline.after(60), abandoned=abandoned)
        with pytest.raises(AbandonedError):
            filled.search(ASKED, QUERIES, scope=scope)
        assert filled.database.pool.in_use == 0
    filled.check(ASKED, QUERIES)


def test_a_search_that_waits_for_a_lock_ends_at_its_deadline(filled: Exercise) -> None:
    filled.check(ASKED, QUERIES)
    with closing(psycopg2.connect(filled.url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE skill_job1, recommender.job_state")
        with pytest.raises(DeadlineExceededError):
            filled.search(ASKED, QUERIES, timeout_s=0.2)
        assert filled.database.pool.in_use == 0
        other.rollback()
    filled.check(ASKED, QUERIES)


UUIDS = [str(uuid.UUID(int=n << 64)) for n in (*range(100), 255 << 40, 1 << 60)]
TEXTS = [f"job {'ü' * (n % 5)}{n}" for n in range(100)] + ["", "Z"]


@pytest.mark.parametrize(
    ("id_type", "stored"),
    [
        ("smallint", [*range(-50, 50), -(2**15), 2**15 - 1]),
        ("integer", [*range(-50, 50), -(2**31), 2**31 - 1]),
        ("bigint", [*range(-50, 50), -(2**63), 2**63 - 1]),
        # Zero bytes at the end are what NumPy drops.
        ("uuid", UUIDS),
        # In the order of the C collation, whatever the collation of the column.
        ("text", TEXTS),
        ("varchar(20)", TEXTS),
    ],
)
def test_f32_ids_of_every_type_are_ranked_paged_and_excluded(
    empty: Exercise, id_type: str, stored: list[object]
) -> None:
    url = empty.url
    run(
        url,
        "ALTER TABLE skill_job1 ALTER job_id DROP IDENTITY IF EXISTS;"
        f" ALTER TABLE skill_job1 ALTER job_id TYPE {id_type} USING NULL::{id_type}",
    )
    list(migrate(url, extras=empty.backend.extras))  # ours have the new type, too
    rows = around(len(stored))
    rows[50:90] = rows[:40]  # ties, to be ordered by id
    empty.id_type = id_type
    empty.add(rows, stored)
    found = empty.check(ASKED, [profile_query(20)] * 6)
    page = [empty.public(row) for row in found.ranked[0]]
    after = CursorPosition(found.ranked[0][4].score, 0.0, page[4])
    constraints = Constraints(exclude=frozenset(page[::2]), after=after)
    empty.check(ASKED[:1], [profile_query(7, constraints=constraints)])


def test_items_like_an_item_and_users_for_an_item(empty: Exercise) -> None:
    url = empty.url
    add_pending_jobs(url, ["waits"])
    add_jobs(url, {number: f"skill {number % 20}" for number in range(2, 60)})
    texts = {number: f"skill {number}" for number in range(30)}
    add_users(url, texts)
    embed_users(url, texts)
    empty.settle()
    ranking = ranking_over(empty.database, HashEncoder(), retrieval=empty.retrieval)
    like = rank(ranking, [job_query(2, 22), job_query(2, 1)])
    fitting = rank(ranking, [job_query(3, 22, target="users")])
    first, nothing, users = results([*like, *fitting])
    assert [(hit.id, hit.similarity_score) for hit in first.hits] == [
        (2, 1.0),
        (42, 1.0),
    ]
    assert (nothing.hits, nothing.message) == ((), "This job has no embedding yet.")
    assert shown(users)[0] == (2, 1.0, "skill 2")
    assert (first.analyzed, users.analyzed, len(users.hits)) == (58, 30, 3)


def shown(found: Result) -> list[tuple[object, float | None, str | None]]:
    return [(hit.id, hit.similarity_score, hit.text) for hit in found.hits]

"""Cached counts of rows, refreshed in the background."""

from contextlib import closing
from dataclasses import replace

import psycopg2

from app.ops.row_counts import RowCounts
from app.storage.connection.database import Database
from tests.support.rows import add_pending_jobs, add_user
from tests.support.waiting import wait_until


def test_f102_a_count_that_takes_long_leaves_the_last_known_figure_with_its_age(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b", None])
    add_user(database_url, 1, "x")
    counts = RowCounts(database)
    with closing(psycopg2.connect(database_url)) as other:
        lock = "LOCK TABLE recommender.job_state IN ACCESS EXCLUSIVE MODE"
        other.cursor().execute(lock)
        assert counts() is None
        other.rollback()
        wait_until(lambda: counts() is not None)
        known = counts()
        assert known is not None
        assert (known.jobs.pending, known.jobs.blank, known.users) == (2, 1, 1)
        other.cursor().execute(lock)
        old = counts._last = replace(known, fresh_until=0.0, at=known.at - 90)
        assert counts() is old
        assert old.age_s > 90
        other.rollback()
        wait_until(lambda: counts() is not old)


def test_f102_a_database_that_is_away_takes_no_figure_away() -> None:
    counts = RowCounts(Database("postgresql://me@127.0.0.1:1/none", pool_size=1))
    assert counts() is None
    assert counts() is None

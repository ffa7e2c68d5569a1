"""A server that was stopped, killed or promoted is noticed, or known to be the same."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from app.commands.migrate import migrate
from app.errors import SchemaError
from tests.integration.replica.replicas import (
    Exercise,
    add_jobs,
    around,
    generation,
    started,
)
from tests.support.cluster import Cluster, running_cluster
from tests.support.postgres import Server, run
from tests.support.replicas import Programs, Replicated, running_replicas
from tests.support.waiting import wait_until

OTHER = around(1, seed=3)[0].tobytes()
EDIT = "UPDATE skill_job1 SET embedding = %s WHERE job_id %% 9 = %s"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def replicated(postgres: Server) -> Iterator[Replicated]:
    with running_replicas(Programs.of(postgres)) as replicated:
        yield replicated


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_after_a_crash_the_files_are_made_anew_and_after_a_restart_they_are_not(
    cluster: Cluster, tmp_path: Path, end: str
) -> None:
    """What a crash lost may have been taken over, and its xids come again."""
    add_jobs(cluster.url, around(100), range(100))
    with started(cluster.url, tmp_path) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
        before = generation(tmp_path)
        # The last one is not on the server's disk yet.
        run(cluster.url, "ALTER DATABASE jobs SET synchronous_commit = off")
        run(cluster.url, EDIT, (OTHER, 1))
        assert exercise.check() is not None
        getattr(cluster, end)()
        cluster.start()
        for step in range(8):
            run(cluster.url, EDIT, (around(1, seed=step)[0].tobytes(), step))
    with started(cluster.url, tmp_path) as exercise:
        for _ in range(2):
            exercise.check()
            exercise.pass_once()
        assert exercise.check() is not None
        assert (generation(tmp_path) == before) == (end == "stop")


def test_a_stand_by_is_left_to_the_full_scan_until_it_is_promoted(
    replicated: Replicated, tmp_path: Path
) -> None:
    """It has not got the last change of the primary, and goes on from there."""
    primary, standby = replicated.primary, replicated.replica
    list(migrate(primary.url))
    add_jobs(primary.url, around(100), range(100))
    replicated.arrive()
    with started(primary.url, tmp_path) as exercise:
        exercise.pass_once()
        assert exercise.check() is not None
        replicated.pause()
        run(primary.url, EDIT, (OTHER, 1))
        assert exercise.check() is not None
        exercise.pass_once()
    before = generation(tmp_path)
    with started(standby.url, tmp_path) as exercise:
        exercise.pass_once()
        assert exercise.check() is None
        assert exercise.replica.views.latest() == []
        primary.kill()
        replicated.resume()
        run(standby.url, "SELECT pg_promote(true)")
        wait_until(lambda: not run(standby.url, "SELECT pg_is_in_recovery()")[0][0])
        # As many transactions as were lost, and more.
        for step in range(8):
            run(standby.url, EDIT, (around(1, seed=step)[0].tobytes(), step))
        exercise.check()
        exercise.pass_once()
        assert exercise.check() is not None
    assert generation(tmp_path) != before


def test_the_role_that_only_reads_is_enough(filled: Exercise, tmp_path: Path) -> None:
    """And row-level security that hides rows from it is an error, not an answer."""
    name = "replica_reader"
    run(filled.url, f"CREATE ROLE {name} LOGIN BYPASSRLS IN ROLE job_recommender")
    try:
        run(filled.url, "ALTER TABLE skill_job1 ENABLE ROW LEVEL SECURITY")
        url = make_dsn(filled.url, user=name)
        with started(url, tmp_path / "reader") as exercise:
            exercise.pass_once()
            assert exercise.check() is not None
            run(filled.url, EDIT, (OTHER, 1))
            assert exercise.check() is not None
            run(filled.url, f"ALTER ROLE {name} NOBYPASSRLS")
            hidden = Exercise(url, tmp_path / "hidden")
            with closing(hidden), pytest.raises(SchemaError, match="row-level"):
                hidden.pass_once()
    finally:
        run(filled.url, f"DROP ROLE {name}")

"""A replica that follows jobs on shards."""

from contextlib import closing
from pathlib import Path

import pytest

from app.ranking.retrieval.full_scan import FullScan
from app.storage.connection.database import Database
from tests.integration.retrieval.backends import KeptReplica, stream
from tests.integration.shards.answers import answers, embed, insert_rows
from tests.support.postgres import run
from tests.support.shards import Databases


def settle(url: str) -> None:
    """One pass of the replica's keeper."""
    with closing(Database(url, pool_size=2)) as database:
        KeptReplica.settle(database)


def refused(*_args: object, **_more: object) -> None:
    raise AssertionError("the full scan was asked")


def check(databases: Databases, replica: KeptReplica, folder: Path) -> None:
    """The answers from its files, or with changes read beside, are the stream's."""
    wanted = answers(databases.url, folder / "stream", retrieval=stream())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FullScan, "search", refused)
        found = answers(databases.url, folder / "replica", retrieval=replica)
    assert found == wanted


def test_a_replica_follows_edits_of_jobs_on_shards(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url)
    embed(databases.url)
    assert databases.lay_out(tmp_path) == 0
    replica = KeptReplica()
    settle(databases.url)
    check(databases, replica, tmp_path)
    run(databases.url, "UPDATE skill_job1 SET skills = 'css, git' WHERE job_id < 9")
    run(databases.url, "DELETE FROM skill_job1 WHERE job_id = 20")
    check(databases, replica, tmp_path)
    embed(databases.url)
    check(databases, replica, tmp_path)
    settle(databases.url)
    check(databases, replica, tmp_path)


def test_a_replica_is_made_again_where_rows_may_lie_elsewhere(
    databases: Databases, tmp_path: Path
) -> None:
    insert_rows(databases.url)
    embed(databases.url)
    replica = KeptReplica()
    for names in (["one"], ["one", "two"], []):
        assert databases.lay_out(tmp_path, names) == 0
        answers(databases.url, tmp_path / "before", retrieval=replica)
        assert not replica.views.latest()
        settle(databases.url)
        check(databases, replica, tmp_path)
    # A partition's own TRUNCATE calls no trigger.
    run(databases.url, "TRUNCATE recommender_shards.jobs_0")
    answers(databases.url, tmp_path / "before", retrieval=replica)
    assert not replica.views.latest()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "ALTER TABLE recommender_shards.jobs_0 DISABLE TRIGGER recommender_written",
            "triggers of ours are not there: the doctor names them",
        ),
        (
            "CREATE TABLE more PARTITION OF skill_job1 DEFAULT",
            "its changes are recorded for one ordinary table or for shards only",
        ),
    ],
)
def test_what_keeps_a_replica_from_following_is_said(
    databases: Databases,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    fault: str,
) -> None:
    insert_rows(databases.url, jobs=5)
    run(databases.url, "ALTER TABLE skill_job1 ADD region text")
    values = {"one": ["de"], "two": ["fr"]}
    assert databases.lay_out(tmp_path, column="region", values=values) == 0
    replica = KeptReplica()
    settle(databases.url)
    assert replica.views.latest()
    if "DEFAULT" in statement:
        run(databases.url, "DROP TABLE recommender_shards.jobs_other")
    run(databases.url, statement)
    settle(databases.url)
    assert not replica.views.latest()
    assert caplog.messages[-1] == f"The full scan answers, because {fault}."

"""Each retrieval backend over jobs on shards, beside the stream over one database."""

from contextlib import closing
from pathlib import Path

import pytest

from app.commands.migrate import migrate
from app.storage.connection.database import Database
from tests.integration.retrieval.backends import BACKENDS, Backend, stream
from tests.integration.shards.answers import answers, embed, insert_rows
from tests.support.postgres import run
from tests.support.shards import Databases

EXACT = [backend for backend in BACKENDS if backend.is_exact]


@pytest.mark.parametrize("backend", EXACT, ids=[backend.name for backend in EXACT])
def test_answers_are_equal_through_moves_and_edits(
    databases: Databases, backend: Backend, tmp_path: Path
) -> None:
    insert_rows(databases.url)
    embed(databases.url)
    list(migrate(databases.url, extras=backend.extras))
    retrieval = backend.make()

    def check() -> None:
        with closing(Database(databases.url, pool_size=2)) as database:
            backend.settle(database)
        found = answers(databases.url, tmp_path / "a", retrieval=retrieval)
        wanted = answers(databases.url, tmp_path / "b", retrieval=stream())
        # Without the number of jobs, which pgvector counts now and then only.
        assert [hits for _, *hits in found] == [hits for _, *hits in wanted]

    check()
    assert databases.lay_out(tmp_path) == 0
    check()
    run(databases.url, "UPDATE skill_job1 SET skills = 'css, git' WHERE job_id < 9")
    run(databases.url, "DELETE FROM skill_job1 WHERE job_id = 20")
    check()
    embed(databases.url)
    check()
    assert databases.lay_out(tmp_path, ["two"]) == 0
    check()

"""Roles that are no superuser, over shards that ask for a password, with pgvector."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn
from psycopg2.sql import SQL, Identifier, Literal

from app.commands.build_vector_index import main as build_vector_index
from app.commands.migrate import migrate
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import (
    STREAM,
    add_jobs,
    clustered,
    fill,
    nearby,
    search,
    through_index,
)
from tests.support.doctor import findings
from tests.support.postgres import run
from tests.support.queries import profile_query
from tests.support.shards import Databases, Fleet

JOBS = 400
OWNER, READER, WORKER = "team", "jobs_api", "jobs_worker"
# What a connection string, an option and a user mapping have to quote.
PASSWORD = r"""a' "b\c %d$e é"""
ROLES = {OWNER: "", READER: "IN ROLE job_recommender",
         WORKER: "IN ROLE job_recommender_worker"}  # fmt: skip
INSTALL = (
    "CREATE EXTENSION postgres_fdw;"
    " GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO team;"
)


@contextmanager
def roles_on(fleet: Fleet) -> Iterator[None]:
    """On all servers; shards ask them for the password."""
    for node in fleet.nodes:
        for role, options in ROLES.items():
            create = SQL("CREATE ROLE {} LOGIN PASSWORD {} " + options)
            # A shard has the groups of the migrations not.
            if node is not fleet.nodes[0]:
                create = SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            run(node.url, create.format(Identifier(role), Literal(PASSWORD)))
    for node in fleet.shards:
        for role in ROLES:
            node.demand_password_of(role)
    try:
        yield
    finally:
        for node in fleet.nodes:
            for role in ROLES:
                run(node.url, SQL("DROP ROLE {}").format(Identifier(role)))


@pytest.fixture
def owned(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    """Databases of the team's role: it is what it migrates and lays out as."""
    name = "of_the_team"
    names = {"name": Identifier(name), "owner": Identifier(OWNER)}
    drop = SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(**names)
    create = SQL("CREATE DATABASE {name} TEMPLATE template0 OWNER {owner}")
    with roles_on(fleet):
        for node in fleet.nodes:
            run(node.url, create.format(**names))
        urls = [
            make_dsn(node.url, dbname=name, user=OWNER, password=PASSWORD)
            for node in fleet.nodes
        ]
        for node in fleet.nodes[:2]:
            run(make_dsn(node.url, dbname=name), "CREATE EXTENSION vector")
        try:
            list(migrate(urls[0], extras=["pgvector"]))
            monkeypatch.setenv("DATABASE_URL", urls[0])
            monkeypatch.setenv("SEARCH_BACKEND", "pgvector")
            yield Databases(urls[0], dict(zip(("one", "two"), urls[1:], strict=True)))
        finally:
            for node in fleet.nodes:
                run(node.url, drop)


def test_the_owner_lays_out_and_others_read_and_fill_by_their_rights(
    owned: Databases,
    fleet: Fleet,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_jobs(owned.url, clustered(JOBS), range(JOBS))
    assert owned.lay_out(tmp_path) == 1
    assert capsys.readouterr().err == (
        "shards: team may not create foreign servers; let a superuser run once on the"
        f" coordinator: {INSTALL}\n"
    )
    run(make_dsn(fleet.nodes[0].url, dbname="of_the_team"), INSTALL)
    assert owned.lay_out(tmp_path) == 1
    assert capsys.readouterr().err == (
        'shards: The server two says: permission denied to create extension "vector".'
        ' Let a superuser of two run once: CREATE EXTENSION vector SCHEMA "public";\n'
    )
    run(make_dsn(fleet.nodes[2].url, dbname="of_the_team"), "CREATE EXTENSION vector")
    assert owned.lay_out(tmp_path) == 0
    reader, worker = (make_dsn(owned.url, user=role) for role in (READER, WORKER))
    with closing(Database(worker, pool_size=1)) as database:
        assert fill(database) == JOBS
    assert build_vector_index(["--ef-construction", "100"]) == 0
    check_answers(reader)
    # Who edits needs no right on a shard, and the vector of the old text goes.
    run(owned.url, "UPDATE skill_job1 SET skills = 'edited' WHERE job_id < 5")
    run(owned.url, "DELETE FROM skill_job1 WHERE job_id = 9")
    with closing(Database(worker, pool_size=1)) as database:
        assert fill(database) == 0
    check_answers(reader)
    found = " ".join(findings(capsys))
    assert "shard" not in found
    assert "vectors" not in found
    assert owned.lay_out(tmp_path, ["two"]) == 0
    assert owned.lay_out(tmp_path, []) == 0
    check_answers(reader)
    count = "SELECT count(*) FROM skill_job1"
    assert run(owned.url, count) == [(JOBS - 1,)]


def check_answers(url: str) -> None:
    """An exact search by vectors is the stream's, of one role."""
    questions = [profile_query(10, exact=True)] * 5
    with closing(Database(url, pool_size=1)) as database:
        wanted = search(database, STREAM, nearby(5), questions).ranked
        found = search(database, through_index(), nearby(5), questions).ranked
    assert found == wanted
    assert len(wanted[0]) == 10

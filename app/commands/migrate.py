"""Apply the numbered SQL files of `migrations/` that a database does not have yet, or
has in an earlier version.

Each file is one transaction, idempotent, and may also be pasted into a SQL editor.
`recommender.migration` keeps the record; files marked "Repeatable" run every time.
A lock that somebody holds is waited for in short steps, so that nobody queues behind.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Identifier

from app.commands.migration_files import (
    EXTRAS,
    MigrationFile,
    migration_files,
    record,
    recorded,
)
from app.config import ScriptSettings, read_settings
from app.errors import ConfigError
from app.storage.catalogue import ServedTables
from app.storage.connection.dsn import primary
from app.storage.sql import load

QUERIES = load("migrations")

# After this file both tables are there.
TABLES_FILE = "0003_tables"

# Any number that no other program is likely to lock.
LOCK_KEY = 5_241_809_377_421

# So long may others wait behind us while we wait for a lock; then we step aside.
LOCK_TIMEOUT = "2s"
LOCK_PAUSE_S = 1.0
MOST_LOCK_TRIES = 40

KEY_INDEX = "recommender_job_id"

Say = Callable[[str], None]


@dataclass(frozen=True)
class MigratedTables(ServedTables):
    """The team's tables, and the columns to offer."""

    job_columns: Sequence[str] = ()


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        settings = read_settings(ScriptSettings)
        dsn = primary(settings.database_url.get_secret_value())
        tables = MigratedTables(
            settings.jobs_table,
            settings.users_table,
            settings.title_column,
            settings.filterable_columns,
        )
        for name in migrate(
            dsn, extras=args.extras, tables=tables, again=args.again, say=_say
        ):
            print(f"applied {name}")
    except (ConfigError, psycopg2.Error) as error:
        print(f"migrate: {sentence(error)}", file=sys.stderr)
        return 1
    print("The database is up to date.")
    return 0


def migrate(
    dsn: str,
    *,
    extras: Sequence[str] = (),
    tables: MigratedTables = MigratedTables(),
    again: bool = False,
    say: Say = lambda _: None,
) -> Iterator[str]:
    """Apply what is missing, in the order of the numbers. Yields the name of each file
    that is new or has changed.

    `again`: what is recorded as applied as well, and all rows are compared with their
    states, for a database that lost some of it.
    `extras` are folders of `migrations/` that not everybody wants; a database that has
    one keeps it up to date. `say` is told of warnings, and who holds a lock that is
    waited for.
    """
    with alone(dsn), closing(connect(dsn)) as connection:
        known = recorded(connection)
        done: list[MigrationFile] = []
        for file in migration_files():
            # Asked each time: one that drops what another has made forgets that one.
            applied = recorded(connection)
            if file.extra and file.extra not in extras and file.name not in applied:
                continue
            is_current = applied.get(file.name) == file.checksum
            if is_current and not again and not file.is_repeatable:
                continue
            done.append(file)
            _apply(connection, file, done, tables=tables, say=say)
            if known.get(file.name) != file.checksum:
                yield file.name
            if file.name == TABLES_FILE:
                _index_key(connection, tables, say)
                if again:
                    _compare_all(connection)


def _apply(
    connection: Connection,
    file: MigrationFile,
    done: Sequence[MigrationFile],
    *,
    tables: MigratedTables,
    say: Say,
) -> None:
    """One file in one transaction; again while somebody holds a lock that it needs.

    `done`: it and those before it, which are recorded once there is a record.
    """
    for attempt in range(1, MOST_LOCK_TRIES + 1):
        try:
            with connection, connection.cursor() as cursor:
                _configure(connection, tables)
                cursor.execute(file.text)
                record(connection, done)
        except psycopg2.Error as error:
            if (
                error.pgcode != errorcodes.LOCK_NOT_AVAILABLE
                or attempt == MOST_LOCK_TRIES
            ):
                raise
            say(f"{_blocker(connection, tables)} Trying again ({attempt}).")
            time.sleep(LOCK_PAUSE_S)
        else:
            break
    for notice in connection.notices:
        if notice.startswith("WARNING:"):
            say(notice.removeprefix("WARNING:").strip())
    connection.notices.clear()


def _configure(
    connection: Connection, tables: MigratedTables, *, lock_timeout: str = LOCK_TIMEOUT
) -> None:
    """What the files read, for this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            QUERIES["configure"],
            {
                "lock_timeout": lock_timeout,
                "jobs": tables.jobs,
                "users": tables.users,
                "job_columns": ",".join(tables.job_columns),
                "title_column": tables.title_column,
            },
        )


def _blocker(connection: Connection, tables: MigratedTables) -> str:
    """Who holds a lock on one of the tables; never what they run: it may hold texts."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            QUERIES["blocker"],
            {"jobs": tables.jobs or "skill_job1", "users": tables.users or "users"},
        )
        found = cursor.fetchone()
    if found is None:
        return "A lock is held by somebody else."
    table, pid, user, program, state, seconds = found
    return (
        f"{table} is locked by process {pid} ({program or 'a program'} as {user},"
        f" {state}, for {seconds} s); SELECT pg_terminate_backend({pid}) would end it."
    )


def _index_key(connection: Connection, tables: MigratedTables, say: Say) -> None:
    """An index on job_id where there is none, built beside the team's traffic.

    A partitioned table takes none in this way: 0004_attach.sql warns.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(QUERIES["key_index"], {"jobs": tables.jobs or "skill_job1"})
        schema, name, is_plain, has_index = cursor.fetchone()  # type: ignore[misc]
    if has_index or not is_plain:
        return
    say(f"Building an index on job_id of {schema}.{name}, beside the traffic.")
    connection.set_session(readonly=False, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        # What a build that was broken off has left is not valid.
        cursor.execute(
            SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(
                Identifier(schema, KEY_INDEX)
            )
        )
        cursor.execute(
            SQL("CREATE INDEX CONCURRENTLY {} ON {} (job_id)").format(
                Identifier(KEY_INDEX), Identifier(schema, name)
            )
        )
    connection.autocommit = False


def _compare_all(connection: Connection) -> None:
    """Let the last files compare every row with its state."""
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE recommender.entity SET is_filled = false")


@contextmanager
def alone(dsn: str) -> Iterator[None]:
    """Hold a lock against a second migration at the same time.

    It ends with its transaction, and a transaction also holds it through a pooler.
    """
    connection = connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            _configure(connection, MigratedTables(), lock_timeout="0")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
            yield
    finally:
        connection.close()


def connect(dsn: str) -> Connection:
    """In UTF-8, for any names, and with transactions that write. Neither depends on the
    encoding or the defaults of the database.
    """
    connection: Connection = psycopg2.connect(dsn, client_encoding="UTF8")
    connection.set_session(isolation_level="READ COMMITTED", readonly=False)
    return connection


def sentence(error: Exception) -> str:
    """What the database says, without where in which file."""
    if isinstance(error, psycopg2.Error) and error.diag.message_primary:
        hint = error.diag.message_hint
        return error.diag.message_primary + (f" ({hint})" if hint else "")
    return str(error).strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        choices=EXTRAS,
        default=[],
        help="pgvector: what SEARCH_BACKEND=pgvector needs (docs/pgvector.md);"
        " supabase-close: close users, and the embeddings of jobs, to the public"
        " REST API (docs/deploy.md)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="apply what is recorded as applied, too, and compare all rows with what is"
        " recorded of them: for a database that lost some of it",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

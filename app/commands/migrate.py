"""Apply the numbered SQL files of `migrations/` that a database does not have yet.

yoyo-migrations keeps the record of what was applied. Each file is idempotent and may
also be pasted into a SQL editor.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from app.commands import ROOT
from app.config import ScriptSettings, read_settings
from app.errors import ConfigError
from app.storage.connection.dsn import primary

FOLDER = ROOT / "migrations"
EXTRAS = ("pgvector",)

# Any number that no other program is likely to lock.
LOCK_KEY = 5_241_809_377_421


class LibpqBackend(PostgresqlBackend):  # type: ignore[misc]  # yoyo has no types
    """Connects with the connection string as libpq reads it: sockets, TLS, services."""

    def connect(self, dburi: Any) -> Any:
        connection = psycopg2.connect(dburi.args["dsn"])
        connection.autocommit = True
        return connection


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        for name in migrate(dsn, extras=args.extras):
            print(f"applied {name}")
    except (ConfigError, psycopg2.Error) as error:
        print(f"migrate: {str(error).strip()}", file=sys.stderr)
        return 1
    print("The database is up to date.")
    return 0


def migrate(dsn: str, *, extras: Sequence[str] = ()) -> Iterator[str]:
    """Apply what is missing, in the order of the numbers; yields each name.

    `extras` are folders of `migrations/` that not everybody wants.
    """
    folders = [FOLDER, *(FOLDER / extra for extra in extras)]
    with _alone(dsn):
        backend = LibpqBackend(
            DatabaseURI("postgresql", None, None, None, None, "", {"dsn": dsn}),
            default_migration_table,
        )
        with backend:
            backend.init_database()
            migrations = backend.to_apply(read_migrations(*map(str, folders)))
            for migration in migrations:
                backend.apply_one(migration)
                yield migration.id


@contextmanager
def _alone(dsn: str) -> Iterator[None]:
    """Hold a lock against a second migration at the same time.

    yoyo's own lock is a row that a killed process leaves behind for ever. This one
    ends with its transaction, and a transaction also holds it through a pooler.
    """
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_KEY,))
            yield
    finally:
        connection.close()


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
        help="also what SEARCH_BACKEND=pgvector needs (docs/pgvector.md)",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

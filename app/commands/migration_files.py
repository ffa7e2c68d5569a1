"""The numbered SQL files of `migrations/`, and the record of the applied ones."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812

from app.commands import data_folder
from app.storage.sql import load

QUERIES = load("migrations")

MIGRATIONS_FOLDER = data_folder("migrations")
EXTRAS = ("pgvector", "supabase-close")
RECORD = "recommender.migration"


@dataclass(frozen=True)
class MigrationFile:
    """One file: `extra` is its folder in `migrations/`, "" for a file that all need."""

    name: str
    text: str
    extra: str = ""

    @property
    def checksum(self) -> str:
        """Another one is recorded if the file has changed since it was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_repeatable(self) -> bool:
        """Whether it runs with every migration."""
        return "\n-- Repeatable:" in self.text


def migration_files() -> Iterator[MigrationFile]:
    """All files in the order of their numbers, those of extras last."""
    for extra in ("", *EXTRAS):
        for path in sorted((MIGRATIONS_FOLDER / extra).glob("*.sql")):
            yield MigrationFile(path.stem, _text(path), extra)


def checksums() -> Mapping[str, str]:
    """The checksum of each file by its name."""
    return {file.name: file.checksum for file in migration_files()}


def recorded(connection: Connection) -> Mapping[str, str | None]:
    """The checksums of the applied files by name; none where there is no record yet.

    None for a file that was recorded before there were checksums.
    """
    with connection, connection.cursor() as cursor:
        if not _columns_of_record(connection):
            return {}
        cursor.execute(QUERIES["recorded"])
        return dict(cursor.fetchall())


def record(connection: Connection, files: Sequence[MigrationFile]) -> None:
    """Record files as applied, in the open transaction, once there is a record."""
    if "checksum" not in _columns_of_record(connection):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            QUERIES["record"],
            {
                "names": [file.name for file in files],
                "checksums": [file.checksum for file in files],
            },
        )


def _columns_of_record(connection: Connection) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s)",
            (RECORD,),
        )
        return {name for (name,) in cursor}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

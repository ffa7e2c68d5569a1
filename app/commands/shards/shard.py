"""One shard: a server that holds partitions of the jobs in a schema of its own.

Its tables are written by the coordinator alone: triggers refuse everybody else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.shards.layout import ShardServer
from app.commands.shards.servers import SHARD_NETWORK, session_options
from app.commands.shards.session import place
from app.errors import ConfigError
from app.storage.inspection import OLDEST_SERVER
from app.storage.shards import QUERIES, SHARDS_SCHEMA

# A lock is held while rows are copied, and an index takes its time.
UNLIMITED = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"


@dataclass(frozen=True)
class PartColumns:
    """The columns of a partition, as a shard declares them, its checks and indexes.

    `key`: the column that rows are placed by. `indexes`: what follows CREATE INDEX ON
    …; `is_unique`: whether each job_id is there once.
    """

    declared: Mapping[str, Composable]
    checks: Sequence[Composable]
    key: str
    indexes: Sequence[Composable]
    is_unique: bool

    def index_statements(self, table: Identifier) -> Iterator[Composable]:
        if self.is_unique:
            yield SQL("CREATE UNIQUE INDEX ON {} (job_id)").format(table)
        for index in self.indexes:
            yield SQL("CREATE INDEX ON {} {}").format(table, index)


class Shard:
    """A connection to one server, for statements that postgres_fdw does not send."""

    def __init__(self, server: ShardServer, token: str, connection: Connection) -> None:
        self.name = server.name
        self._token = token
        self._connection = connection

    @classmethod
    @contextmanager
    def connected(cls, server: ShardServer, token: str) -> Iterator["Shard"]:
        """Raises ConfigError, which names the server, if it cannot be reached."""
        try:
            connection = psycopg2.connect(
                server.dsn,
                client_encoding="UTF8",
                connect_timeout=int(SHARD_NETWORK["connect_timeout"]),
                options=f"{session_options(server.dsn, token)} {UNLIMITED}",
            )
        except psycopg2.OperationalError as error:
            said = (str(error).strip().splitlines() or ["it does not answer"])[-1]
            raise ConfigError(
                f"The server {server.name} cannot be reached: {said}"
            ) from error
        with closing(connection):
            connection.autocommit = True
            yield cls(server, token, connection)

    def check(self, encoding: str, placed: Iterable[str]) -> None:
        """Raise ConfigError for a database that cannot be this shard, or is another
        one: copies there would be taken for those of another server, and dropped.
        `placed`: the partitions that it is to hold already.
        """
        ((version, number, own, is_served, is_shard),) = self._run(
            QUERIES["shard_database"]
        )
        if number < OLDEST_SERVER:
            raise ConfigError(
                f"PostgreSQL {OLDEST_SERVER // 10_000} or later is needed, and the"
                f" server {self.name} is {version}."
            )
        if is_served:
            raise ConfigError(
                f"The url of {self.name} is a database that has a recommender; name one"
                " that has none, and not the coordinator's."
            )
        if own != encoding:
            raise ConfigError(
                f"The database of {self.name} has the encoding {own}; create one with"
                f" the coordinator's, {encoding}."
            )
        if is_shard:
            self._check_identity()
        there = self.parts() if is_shard else {}
        if lost := sorted(set(placed) - there.keys()):
            raise ConfigError(
                f"The database of {self.name} lacks {', '.join(lost)}; correct its url,"
                " or restore it from its backup."
            )

    def _check_identity(self) -> None:
        for token, name in self._run(QUERIES["shard_identity"]):
            if token != self._token:
                raise ConfigError(
                    f"The database of {self.name} holds shards of another coordinator;"
                    " name another database in its url."
                )
            if name != self.name:
                raise ConfigError(
                    f"The url of {self.name} is the database of {name}; name another"
                    f" database, or call the server {name}."
                )

    def prepare(self) -> None:
        """Create the schema. Raises ConfigError as `check` does."""
        prepare = QUERIES["prepare_shard"].format(
            token=Literal(self._token), shard=Literal(self.name)
        )
        # One message, one transaction: all of it or nothing is there.
        self._run(SQL("{}; {}").format(prepare, QUERIES["health"]))
        self._check_identity()

    def parts(self) -> dict[str, Sequence[str]]:
        """The partitions that are there, with their columns."""
        return dict(self._run(QUERIES["parts_there"]))

    def create(self, part: str, columns: PartColumns) -> None:
        """Create an empty partition with its triggers and indexes. What an interrupted
        move has left is dropped.
        """
        table = place(part)
        self.drop(part)
        declared = SQL(", ").join([*columns.declared.values(), *columns.checks])
        self._run(SQL("CREATE TABLE {} ({})").format(table, declared))
        self._run(
            SQL("ALTER TABLE {} ALTER COLUMN embedding SET STORAGE MAIN").format(table)
        )
        self._run(
            QUERIES["guard_part"].format(
                part=table, token=Literal(self._token), column=Identifier(columns.key)
            )
        )
        for statement in columns.index_statements(table):
            self._run(statement)

    def vector_parts(self) -> Sequence[str]:
        """The partitions of vectors that are there."""
        return [name for (name,) in self._run(QUERIES["vectors_there"])]

    def create_vectors(
        self, part: str, statements: Sequence[Composable], *, schema: str
    ) -> None:
        """Create an empty partition of vectors; `schema`: of pgvector, as on the
        coordinator. What an interrupted move has left is dropped.
        """
        if not self._run(SQL("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
            self._install_vectors(schema)
        self.drop(part)
        for statement in statements:
            self._run(statement)

    def _install_vectors(self, schema: str) -> None:
        create = SQL("CREATE EXTENSION vector SCHEMA {}").format(Identifier(schema))
        try:
            self._run(create)
        except ConfigError as error:
            text = create.as_string(self._connection)
            raise ConfigError(
                f"{error} Let a superuser of {self.name} run once: {text};"
            ) from error

    def add_columns(self, part: str, columns: PartColumns) -> Sequence[str]:
        """Add the columns that a partition lacks. Returns their names."""
        there = self.parts().get(part, ())
        lacking = [name for name in columns.declared if name not in there]
        add = SQL("ALTER TABLE {} ADD COLUMN {}")
        for name in lacking:
            self._run(add.format(place(part), columns.declared[name]))
        return lacking

    @contextmanager
    def locked(self, part: str) -> Iterator[None]:
        """Nobody writes to the partition, by any way, until the end of the block."""
        lock = SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
        self._run(SQL("BEGIN"))
        try:
            self._run(lock.format(place(part)))
            yield
        finally:
            self._run(SQL("ROLLBACK"))

    def drop(self, part: str) -> None:
        self._run(SQL("DROP TABLE IF EXISTS {}").format(place(part)))

    def drop_all(self) -> None:
        """Leave nothing of ours behind."""
        self._run(
            SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(SHARDS_SCHEMA))
        )

    def _run(self, statement: Composable) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            said = error.diag.message_primary or str(error).strip()
            raise ConfigError(f"The server {self.name} says: {said}.") from error

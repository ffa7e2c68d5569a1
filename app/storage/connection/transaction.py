"""Statements inside a transaction, which `database` begins and ends."""

from collections.abc import Iterable
from typing import Any, Protocol

from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extensions import encodings
from psycopg2.sql import SQL, Composable

from app.query.ids import Id

NOTHING = SQL("")


class Sink(Protocol):
    """Receives the bytes of a COPY as they arrive. An exception ends the COPY."""

    def write(self, data: bytes, /) -> object: ...


class Transaction:
    """Runs statements inside one transaction.

    BEGIN is sent with the first statement: each round trip is another wait.
    """

    def __init__(self, cursor: Cursor, begin: Composable) -> None:
        self._cursor = cursor
        self._begin: Composable | None = begin

    @property
    def is_open(self) -> bool:
        """Whether the transaction has begun and is not committed yet."""
        return self._begin is None

    def held(self, text: str) -> str:
        """The text as the encoding of the database can hold it: a statement with any
        other character would fail. Nothing is equal to a text that comes back changed.
        """
        server = self._cursor.connection.info.parameter_status("server_encoding")
        # What ASCII is to Postgres is any bytes; Python does not know all encodings.
        if server in (None, "UTF8", "SQL_ASCII") or server not in encodings:
            return text
        codec = encodings[server]
        return text.encode(codec, "backslashreplace").decode(codec)

    def holdable(self, ids: Iterable[Id]) -> list[Id]:
        """Those that a row may have."""
        return [id_ for id_ in ids if self.held(str(id_)) == str(id_)]

    def rows(
        self, query: Composable, parameters: dict[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a query and return all its rows."""
        self._cursor.execute(self._begun(query), parameters)
        return self._cursor.fetchall()

    def execute(
        self, query: Composable, parameters: dict[str, object] | None = None
    ) -> int:
        """Run a statement and return the number of affected rows."""
        self._cursor.execute(self._begun(query), parameters)
        return self._cursor.rowcount

    def copy_out(
        self,
        query: Composable,
        sink: Sink,
        *,
        settings: Composable = NOTHING,
    ) -> None:
        """Stream `COPY (query) TO STDOUT (FORMAT BINARY)` into the sink.

        `settings`: statements without rows, sent before it in the same message.
        """
        copy = SQL("{}COPY ({}) TO STDOUT (FORMAT BINARY)").format(settings, query)
        self._cursor.copy_expert(self._begun(copy), sink)

    def copy_in(self, target: Composable, source: Any) -> None:
        """Stream a file in COPY's text format into `target`: a table with columns."""
        copy = SQL("COPY {} FROM STDIN").format(target)
        self._cursor.copy_expert(self._begun(copy), source)

    def _begun(self, statement: Composable) -> Composable:
        begin, self._begin = self._begin, None
        return statement if begin is None else SQL("{}; {}").format(begin, statement)

"""Statements inside a transaction, which `database` begins and ends."""

from collections.abc import Iterable
from typing import Any, Protocol

from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extensions import encodings
from psycopg2.sql import SQL, Composable

from app.query.ids import Id

NOTHING = SQL("")
# A statement with two more columns, the rows of others in the first row, and one more
# row where it has none.
WITH_AHEAD = SQL(
    "SELECT CASE WHEN row_number() OVER () = 1 THEN json_build_array({ahead}) END, q.*"
    " FROM (SELECT) AS always"
    " LEFT JOIN (SELECT true, q.* FROM ({query}) AS q) AS q ON true"
)
ONE_AHEAD = SQL("(SELECT to_json(a) FROM ({}) AS a)")
NO_ROWS = SQL("SELECT WHERE false")
COMMIT = SQL("; COMMIT")


class Escaped(Composable):
    """A part of a statement with parameters, with `%` escaped."""

    def __init__(self, part: Composable) -> None:
        super().__init__(part)
        self._part = part

    def as_string(self, context: Any = None) -> str:
        return str(self._part.as_string(context)).replace("%", "%%")


class Sink(Protocol):
    """Receives the bytes of a COPY as they arrive. An exception ends the COPY."""

    def write(self, data: bytes, /) -> object: ...


class Transaction:
    """Runs statements inside one transaction.

    Each round trip is another wait. So BEGIN is sent with the first statement,
    statements `ahead` with the next one, and COMMIT with the last where this is known.
    """

    def __init__(self, cursor: Cursor, begin: Composable) -> None:
        self._cursor = cursor
        self._begin: Composable | None = begin
        self._ended = False
        self._ahead: list[Composable] = []
        self._found: list[tuple[Composable, dict[str, Any] | None]] = []

    @property
    def is_open(self) -> bool:
        """Whether the transaction has begun and is not committed yet."""
        return self._begin is None and not self._ended

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
        ahead, self._ahead = self._ahead, []
        if not ahead:
            self._cursor.execute(self._begun(query), parameters)
            return self._cursor.fetchall()
        parts = SQL(", ").join(ONE_AHEAD.format(each) for each in ahead)
        all_of_them = WITH_AHEAD.format(
            ahead=parts if parameters is None else Escaped(parts), query=query
        )
        self._cursor.execute(self._begun(all_of_them), parameters)
        rows = self._cursor.fetchall()
        self._found += zip(ahead, rows[0][0], strict=True)
        return [row[2:] for row in rows if row[1]]

    def ahead(self, query: Composable) -> None:
        """Send a query of at most one row with the next `rows`; `row` returns it."""
        self._ahead.append(query)

    def row(self, query: Composable) -> dict[str, Any] | None:
        """The only row of a query, if any: JSON values by the names of columns."""
        for asked, found in self._found:
            if asked == query:
                return found
        if query not in self._ahead:
            self.ahead(query)
        self.rows(NO_ROWS)
        return self.row(query)

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
        is_last: bool = False,
    ) -> None:
        """Stream `COPY (query) TO STDOUT (FORMAT BINARY)` into the sink.

        `settings`: statements without rows, sent before it in the same message.
        `is_last`: commit with it; no other statement can follow.
        """
        copy = SQL("{}COPY ({}) TO STDOUT (FORMAT BINARY){}").format(
            settings, query, COMMIT if is_last else NOTHING
        )
        self._cursor.copy_expert(self._begun(copy), sink)
        self._ended = is_last

    def copy_in(self, target: Composable, source: Any) -> None:
        """Stream a file in COPY's text format into `target`: a table with columns."""
        copy = SQL("COPY {} FROM STDIN").format(target)
        self._cursor.copy_expert(self._begun(copy), source)

    def _begun(self, statement: Composable) -> Composable:
        assert not self._ended, "the transaction is committed"  # noqa: S101
        begin, self._begin = self._begin, None
        return statement if begin is None else SQL("{}; {}").format(begin, statement)

"""Changes of the jobs' embeddings since an earlier snapshot of the database.

They keep a copy outside the database up to date. docs/replica.md describes what the
triggers record, and what only the table's identity shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from app.errors import SchemaError
from app.query.ids import Id
from app.storage.catalogue import MIGRATE
from app.storage.codec import int32_to_bytes
from app.storage.connection.transaction import Sink, Transaction
from app.storage.entity import UNNAMED_BYTES, EntityTable
from app.storage.skills import NO_SKILL
from app.storage.sql import load

QUERIES = load("changes")
SKILL_QUERIES = load("skills")

# Flags of a row: no other has its id; it has an embedding of this model; it has skill
# ids; its skills are known, if only that it has none.
IS_ALONE, HAS_EMBEDDING, HAS_SKILLS, KNOWS_SKILLS = 1, 2, 4, 16


@dataclass(frozen=True)
class XidSnapshot:
    """A value of pg_snapshot: `xmin:xmax:running,…`.

    Transactions before `xmin` had ended; those from `xmax` on had not begun.
    """

    text: str

    @property
    def xmin(self) -> int:
        return int(self.text.split(":")[0])

    @property
    def xmax(self) -> int:
        return int(self.text.split(":")[1])

    @property
    def running(self) -> frozenset[int]:
        listed = self.text.split(":")[2]
        return frozenset(int(xid) for xid in listed.split(",") if xid)

    def is_seen_by(self, other: "XidSnapshot") -> bool:
        """Whether `other`, of the same server, sees all that this snapshot sees."""
        still_running = {xid for xid in other.running if xid < self.xmax}
        return self.xmax <= other.xmax and still_running <= self.running


# Nothing was seen yet.
BEFORE_ALL = XidSnapshot("3:3:")


@dataclass(frozen=True)
class TableState:
    """What a look at the table of jobs tells, in one snapshot.

    `identity` changes where embeddings may have changed unrecorded. `fault`: why
    changes cannot be relied on, the end of a sentence. Deletions up to the transaction
    `forgotten` are not known any more. `changed`: ids as public values.
    """

    identity: str
    fault: str | None
    forgotten: int
    snapshot: XidSnapshot
    changed: Sequence[Id]

    def can_continue(self, since: XidSnapshot) -> bool:
        """Whether every deletion since that snapshot is still recorded."""
        return self.forgotten < since.xmin


def look(
    transaction: Transaction,
    jobs: EntityTable,
    *,
    version: str,
    since: XidSnapshot,
    most: int,
) -> TableState:
    """The changes that `since` did not see: `most` ids at most, then there may be more.
    One statement, or none after `look_ahead` with the same arguments.

    Raises SchemaError if the table was dropped.
    """
    found = transaction.row(_look(version, since, most))
    if found is None:
        raise SchemaError(f"The database has no table of jobs; {MIGRATE}.")
    return TableState(
        found["identity"],
        found["fault"],
        int(found["forgotten"]),
        XidSnapshot(found["snapshot"]),
        [_public(jobs, text) for text in found["changed"]],
    )


def look_ahead(
    transaction: Transaction, *, version: str, since: XidSnapshot, most: int
) -> None:
    """Send the statement of `look` with the next one."""
    transaction.ahead(_look(version, since, most))


def _look(version: str, since: XidSnapshot, most: int) -> Composable:
    return QUERIES["look"].format(
        version=Literal(version), since=Literal(since.text), most=Literal(most)
    )


def changed_in_order(
    transaction: Transaction,
    jobs: EntityTable,
    *,
    since: XidSnapshot,
    after: Id | None,
    most: int,
) -> list[Id]:
    """The next ids after `after` whose job has changed."""
    key = Identifier("s", jobs.key)
    query = jobs.format(
        QUERIES["changed_in_order"],
        since=Literal(since.text),
        beyond=_beyond(jobs, key, after),
        most=Literal(most),
    )
    return [_public(jobs, text) for (text,) in transaction.rows(query)]


def stream_by_id(
    transaction: Transaction,
    sink: Sink,
    *,
    jobs: EntityTable,
    version: str,
    ids: Sequence[Id],
) -> None:
    """Stream the rows with these ids in the records of `skills.stream_entries`. The
    first of each row's skill ids are its flags, IS_ALONE and so on.
    """
    some = SQL("{} = ANY ({}::{}[])").format(
        Identifier(jobs.key),
        Literal([str(id_) for id_ in ids]),
        SQL(jobs.id_column.cast),
    )
    _stream_rows(transaction, sink, jobs, version, some)


def end_of_slice(
    transaction: Transaction, jobs: EntityTable, *, after: Id | None, rows: int
) -> Id | None:
    """The id of the last of the next `rows` beyond `after`; None if fewer are left."""
    query = jobs.format(
        QUERIES["end_of_slice"],
        beyond=_beyond(jobs, Identifier(jobs.key), after),
        most=Literal(rows),
    )
    found = transaction.rows(query)
    return _public(jobs, found[0][0]) if found else None


def stream_slice(
    transaction: Transaction,
    sink: Sink,
    *,
    jobs: EntityTable,
    version: str,
    after: Id | None,
    end: Id | None,
) -> None:
    """Stream likewise the rows beyond `after`, up to `end` where there is one."""
    key = Identifier(jobs.key)
    some = _beyond(jobs, key, after)
    if end is not None:
        some = SQL("{} AND {} <= {}").format(some, key, _literal(jobs, end))
    _stream_rows(transaction, sink, jobs, version, some)


def _stream_rows(
    transaction: Transaction,
    sink: Sink,
    jobs: EntityTable,
    version: str,
    some: Composable,
) -> None:
    query = jobs.format(
        QUERIES["stream_rows"],
        version=version,
        some=some,
        nothing=QUERIES["nothing"].format(
            version=Literal(version), length=Literal(UNNAMED_BYTES)
        ),
        is_alone=Literal(IS_ALONE),
        has_embedding=Literal(HAS_EMBEDDING),
        has_skills=Literal(HAS_SKILLS),
        knows_skills=Literal(KNOWS_SKILLS),
        has_skill_ids=SKILL_QUERIES["has_skill_ids"],
        no_skill_ids=Literal(int32_to_bytes([NO_SKILL])),
    )
    transaction.copy_out(query, sink)


def stream_ids(
    transaction: Transaction,
    sink: Sink,
    *,
    jobs: EntityTable,
    matching: Composed,
) -> None:
    """Stream the job_id of each row that fulfils the conditions."""
    transaction.copy_out(jobs.format(QUERIES["stream_ids"]) + matching, sink)


def widest_id(transaction: Transaction, jobs: EntityTable) -> int:
    """The number of bytes of the longest id as text."""
    width: int = transaction.rows(jobs.format(QUERIES["widest_id"]))[0][0]
    return width


def _beyond(jobs: EntityTable, key: Identifier, after: Id | None) -> Composable:
    if after is None:
        return SQL("{} IS NOT NULL").format(key)
    return SQL("{} > {}").format(key, _literal(jobs, after))


def _literal(jobs: EntityTable, id_: Id) -> Composable:
    return SQL("{}::{}").format(Literal(str(id_)), SQL(jobs.id_column.cast))


def _public(jobs: EntityTable, text: str) -> Id:
    return int(text) if jobs.id_column.kind == "integer" else text

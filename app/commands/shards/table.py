"""The coordinator's table of jobs, and how it becomes one of partitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.shards.layout import ShardLayout
from app.commands.shards.session import (
    MOVING,
    RunStatement,
    Session,
    clear_moving,
    moving,
    place,
    swap,
)
from app.commands.shards.shard import PartColumns
from app.errors import ConfigError, command_line
from app.storage.shards import QUERIES, PlacedPart

# Also for rows that come by replication.
ENABLE_ALWAYS = SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}")
# The rows of no listed value.
OTHER_ROWS = "jobs_other"


@dataclass(frozen=True)
class JobsTable:
    """The names; `partition_key` as Postgres writes it: "HASH (job_id)"; and `column`,
    what rows are placed by, if it has partitions.

    `is_ours`: its partitions were made here. `is_unique`: by an index on job_id.
    `model`: the one in use. `is_current`: all rows are compared with their states.
    """

    schema: str
    table: str
    partition_key: str | None
    column: str | None
    is_ours: bool
    is_unique: bool
    model: str
    is_current: bool

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.schema, self.table)


def read_table(session: Session) -> JobsTable:
    """Raises ConfigError before the first migration."""
    with session.transaction() as run:
        if run(SQL("SELECT to_regclass('recommender.entity')")) == [(None,)]:
            raise ConfigError(
                f"The database has no tables of ours; run `{command_line('migrate')}`"
                " first."
            )
        return JobsTable(*run(QUERIES["jobs"])[0])


def read_parts(session: Session) -> Sequence[PlacedPart]:
    with session.transaction() as run:
        return [PlacedPart(*row) for row in run(QUERIES["placed"])]


def read_columns(session: Session, jobs: JobsTable) -> PartColumns:
    """As a shard is to declare them."""
    with session.transaction() as run:
        declared = {
            name: SQL("{} {}{}{}{}").format(
                Identifier(name),
                SQL(type_name),
                SQL(f" COLLATE {collation}" if collation else ""),
                SQL(" NOT NULL" if is_filled else ""),
                SQL(f" GENERATED ALWAYS AS ({made}) STORED" if made else ""),
            )
            for name, type_name, collation, is_filled, made, _ in run(
                QUERIES["columns"]
            )
        }
        indexes = [
            SQL(text)
            for (text,) in run(QUERIES["indexes"])
            # The unique one does its work.
            if not (jobs.is_unique and text == " USING btree (job_id)")
        ]
        checks = [SQL(text) for (text,) in run(QUERIES["checks"])]
    key = jobs.column or "job_id"
    return PartColumns(declared, checks, key, indexes, jobs.is_unique)


def partition(session: Session, jobs: JobsTable, layout: ShardLayout) -> int:
    """Put the rows into partitions in this database. Returns the number of rows.

    Writers wait until it is done, readers for a moment. Ids, rights, indexes and
    sequences stay.
    """
    new = moving(jobs.table)
    with session.transaction() as run:
        lock = SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE")
        run(lock.format(jobs.identifier))
        columns = run(QUERIES["columns"])
        with session.beside() as copying:
            rows = _copy_all(copying, jobs, layout, new, columns)
        serial = _keep_sequences(run, columns, session.quoted(new))
        for name, created, old, _ in run(QUERIES["own_triggers"]):
            own = created.replace(f" ON {old} ", f" ON {session.quoted(new)} ", 1)
            run(SQL(own.replace("{", "{{").replace("}", "}}")).format())
            run(ENABLE_ALWAYS.format(new, Identifier(name)))
        for before, behind in run(QUERIES["grants"]):
            run(SQL("{} {} {}").format(SQL(before), new, SQL(behind)))
        run(QUERIES["serve"].format(new=Literal(session.quoted(new))))
        swap(run, SQL("DROP TABLE {}").format(jobs.identifier))
        run(SQL("ALTER TABLE {} SET SCHEMA {}").format(new, Identifier(jobs.schema)))
        for name, sequence in serial.items():
            column = Identifier(jobs.schema, jobs.table, name)
            run(SQL("ALTER SEQUENCE {} OWNED BY {}").format(sequence, column))
        run(SQL("DROP SCHEMA {}").format(Identifier(MOVING)))
    return rows


def _copy_all(
    run: RunStatement,
    jobs: JobsTable,
    layout: ShardLayout,
    new: Identifier,
    columns: Sequence[tuple[Any, ...]],
) -> int:
    """Fill the new table and its partitions. Returns the number of rows."""
    indexes = [SQL(text) for (text,) in run(QUERIES["indexes"])]
    clear_moving(run)
    run(SQL("CREATE SCHEMA {}").format(Identifier(MOVING)))
    _create(run, jobs, layout, new)
    rows = _copy(run, jobs, new, columns)
    for index in [SQL("(job_id)"), *indexes]:
        run(SQL("CREATE INDEX ON {} {}").format(new, index))
    return rows


def _create(
    run: RunStatement, jobs: JobsTable, layout: ShardLayout, new: Identifier
) -> None:
    run(
        QUERIES["create_parent"].format(
            new=new,
            table=jobs.identifier,
            method=SQL("HASH" if layout.column is None else "LIST"),
            column=Identifier(layout.column or "job_id"),
        )
    )
    for name, bound in _bounds(layout):
        create = SQL("CREATE TABLE {} PARTITION OF {} {}")
        run(create.format(place(name), new, bound))
        if jobs.is_unique:
            run(SQL("CREATE UNIQUE INDEX ON {} (job_id)").format(place(name)))


def _bounds(layout: ShardLayout) -> Iterable[tuple[str, Composable]]:
    """The partitions of a new layout, by name."""
    if layout.column is None:
        by_hash = SQL("FOR VALUES WITH (MODULUS {}, REMAINDER {})")
        count = layout.partition_count
        for n in range(count):
            yield f"jobs_{n}", by_hash.format(Literal(count), Literal(n))
        return
    values = [value for server in layout.servers for value in server.values]
    for n, value in enumerate(values):
        yield f"jobs_{n}", SQL("FOR VALUES IN ({})").format(Literal(value))
    yield OTHER_ROWS, SQL("DEFAULT")


def _copy(
    run: RunStatement,
    jobs: JobsTable,
    new: Identifier,
    columns: Sequence[tuple[Any, ...]],
) -> int:
    names = _stored(columns)
    copy = SQL(
        "INSERT INTO {new} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {old}"
    )
    run(copy.format(new=new, old=jobs.identifier, names=names))
    ((had, has),) = run(
        SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})").format(
            jobs.identifier, new
        )
    )
    if had != has:
        raise ConfigError(
            f"{has} of {had} rows arrived in the partitions, and nothing was changed: a"
            f" rule of {jobs.table} may keep rows back; drop it."
        )
    return int(had)


def _keep_sequences(
    run: RunStatement,
    columns: Sequence[tuple[Any, ...]],
    new: str,
) -> Mapping[str, Composable]:
    """The next id is the one that would have been next. `new`: the table's quoted name.
    Returns the sequences of serial columns, which their default names, by column: their
    owner must be in one schema with them, and is not there yet.
    """
    serial: dict[str, Composable] = {}
    for name, *_, sequence in columns:
        if sequence is None:
            continue
        ((theirs,),) = run(
            SQL("SELECT pg_get_serial_sequence({}, {})").format(
                Literal(new), Literal(name)
            )
        )
        if theirs is None:
            run(SQL("ALTER SEQUENCE {} OWNED BY NONE").format(SQL(sequence)))
            serial[name] = SQL(sequence)
        else:
            copy = SQL("SELECT setval({}, last_value, is_called) FROM {}")
            run(copy.format(Literal(theirs), SQL(sequence)))
    return serial


def stored_columns(run: RunStatement) -> Composable:
    """The columns of the jobs that are not generated."""
    return _stored(run(QUERIES["columns"]))


def _stored(columns: Sequence[tuple[Any, ...]]) -> Composable:
    return SQL(", ").join(Identifier(row[0]) for row in columns if not row[4])


def lock_writers(run: RunStatement, jobs: JobsTable) -> None:
    """Nobody writes to jobs through their table until the end of the transaction."""
    lock = SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE")
    run(lock.format(jobs.identifier))

"""Moves of partitions between servers, one transaction each.

A move that fails leaves everything as it was, but for a copy that the next one drops.
"""

from collections.abc import Iterable
from contextlib import ExitStack

from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.shards.servers import SERVER_PREFIX
from app.commands.shards.session import (
    MOVING,
    RunStatement,
    Session,
    clear_moving,
    moving,
    place,
    swap,
    telling,
)
from app.commands.shards.shard import PartColumns, Shard
from app.commands.shards.table import (
    ENABLE_ALWAYS,
    OTHER_ROWS,
    JobsTable,
    lock_writers,
    read_parts,
    stored_columns,
)
from app.errors import ConfigError
from app.storage.shards import QUERIES, SHARDS_SCHEMA, PlacedPart

LOCAL_COPY = SQL(
    "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING GENERATED"
    " INCLUDING CONSTRAINTS INCLUDING STORAGE)"
)
FOREIGN_COPY = SQL("IMPORT FOREIGN SCHEMA {} LIMIT TO ({}) FROM SERVER {} INTO {}")
FOREIGN_PART = SQL(
    "CREATE FOREIGN TABLE {} PARTITION OF {} {} SERVER {}"
    " OPTIONS (schema_name {}, table_name {})"
)


def move(
    session: Session,
    jobs: JobsTable,
    columns: PartColumns,
    part: PlacedPart,
    *,
    source: Shard | None,
    target: Shard | None,
) -> int:
    """Move a partition from one shard to another; None is the coordinator. Returns the
    number of rows.

    Writers of jobs wait until it is done, readers for a moment.
    """
    old = place(part.name)
    if target is not None:
        target.create(part.name, columns)
    # In the order of writers, or each would wait for the other. The shard's lock is
    # held until the transaction here has ended.
    with (
        telling(part.name, target.name if target else None),
        ExitStack() as until_end,
        session.transaction() as run,
    ):
        lock_writers(run, jobs)
        if source is None:
            run(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(old))
        else:
            until_end.enter_context(source.locked(part.name))
        stored = stored_columns(run)
        rows = copy_part(
            session, run, jobs.identifier, part.name, target, columns=stored
        )
        kind = SQL("TABLE" if source is None else "FOREIGN TABLE")
        swap(run, SQL("DROP {} {}").format(kind, old))
        _put(run, jobs, columns, part, None if target is None else target.name)
    with session.transaction() as run:
        # Without statistics the planner takes a partition for a small one.
        run(SQL("ANALYZE {}").format(old))
    if source is not None:
        source.drop(part.name)
    return rows


def add_value(
    session: Session, jobs: JobsTable, columns: PartColumns, value: str
) -> None:
    """Create a partition, here, for a value whose rows lie among the others."""
    numbers = [part.name.rpartition("_")[2] for part in read_parts(session)]
    name = f"jobs_{1 + max((int(n) for n in numbers if n.isdigit()), default=-1)}"
    bound = session.quoted(SQL("FOR VALUES IN ({})").format(Literal(value)))
    with session.transaction() as run:
        lock_writers(run, jobs)
        swap(run, SQL("LOCK TABLE {}").format(jobs.identifier))
        clear_moving(run)
        run(SQL("CREATE SCHEMA {}").format(Identifier(MOVING)))
        run(
            QUERIES["fill_value"].format(
                default=place(OTHER_ROWS),
                moving=moving(name),
                table=jobs.identifier,
                column=Identifier(columns.key),
                value=Literal(value),
                columns=stored_columns(run),
            )
        )
        _put(run, jobs, columns, PlacedPart(name, None, bound), None)


def copy_part(
    session: Session,
    run: RunStatement,
    parent: Identifier,
    name: str,
    target: Shard | None,
    *,
    columns: Composable,
) -> int:
    """Copy the rows of a partition into one of the same name beside it. What a shard
    has committed is there for every snapshot; here rows must be older than those.
    """
    if target is not None:
        return _copy(run, parent, name, target, columns)
    with session.beside() as copying:
        return _copy(copying, parent, name, None, columns)


def _copy(
    run: RunStatement,
    parent: Identifier,
    name: str,
    target: Shard | None,
    columns: Composable,
) -> int:
    new, old = moving(name), place(name)
    clear_moving(run)
    run(SQL("CREATE SCHEMA {}").format(Identifier(MOVING)))
    if target is None:
        run(LOCAL_COPY.format(new, parent))
    else:
        server = Identifier(SERVER_PREFIX + target.name)
        parts: list[Composable] = [Identifier(n) for n in (SHARDS_SCHEMA, name, MOVING)]
        run(FOREIGN_COPY.format(parts[0], parts[1], server, parts[2]))
    insert = SQL("INSERT INTO {} ({n}) SELECT {n} FROM {}")
    run(insert.format(new, old, n=columns))
    count = SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})")
    ((had, has),) = run(count.format(old, new))
    if had != has:
        raise ConfigError(
            f"{has} of {had} rows of {name} arrived, and nothing was moved; run it"
            " again."
        )
    return int(had)


def attach_part(
    run: RunStatement,
    parent: Identifier,
    part: PlacedPart,
    server: str | None,
    *,
    indexes: Iterable[Composable],
) -> None:
    """Let the copy take the partition's place."""
    new, table, bound = moving(part.name), place(part.name), SQL(part.bound)
    if server is None:
        run(SQL("ALTER TABLE {} SET SCHEMA {}").format(new, Identifier(SHARDS_SCHEMA)))
        for statement in indexes:
            run(statement)
        run(SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(parent, table, bound))
    else:
        run(SQL("DROP FOREIGN TABLE {}").format(new))
        run(
            FOREIGN_PART.format(
                table,
                parent,
                bound,
                Identifier(SERVER_PREFIX + server),
                Literal(SHARDS_SCHEMA),
                Literal(part.name),
            )
        )
    run(SQL("DROP SCHEMA {}").format(Identifier(MOVING)))


def _put(
    run: RunStatement,
    jobs: JobsTable,
    columns: PartColumns,
    part: PlacedPart,
    server: str | None,
) -> None:
    indexes = columns.index_statements(place(part.name))
    attach_part(run, jobs.identifier, part, server, indexes=indexes)
    # The triggers of a new partition are enabled for what replication writes, too.
    for name, _, _, is_for_rows in run(QUERIES["own_triggers"]):
        if is_for_rows:
            run(ENABLE_ALWAYS.format(jobs.identifier, Identifier(name)))
    run(QUERIES["note_parts"])

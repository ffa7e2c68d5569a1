"""Vectors of SEARCH_BACKEND=pgvector, each on the server of its job.

Where jobs are placed by a hash of job_id, so are vectors: a partition of these beside
each partition of jobs. Where a column places the jobs, vectors stay on the coordinator.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.sql import SQL, Composable, Identifier

from app.commands.shards.moves import attach_part, copy_part
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
from app.commands.shards.table import read_parts
from app.query.numbers import counted
from app.storage.shards import (
    JOBS_PREFIX,
    QUERIES,
    SHARDS_SCHEMA,
    VECTORS_PREFIX,
    PlacedPart,
)

TABLE = Identifier("recommender", "job_vector")
STORED_COLUMNS = SQL("job_id, vector")
# In the row, as migrations/pgvector has it.
IN_THE_ROW = SQL("ALTER TABLE {} ALTER COLUMN vector SET STORAGE PLAIN")
PRIMARY_KEY = SQL("ALTER TABLE {} ADD PRIMARY KEY (job_id)")
GRANT = SQL("GRANT {} ON {} TO {}")


@dataclass(frozen=True)
class VectorColumns:
    """How a partition of vectors is declared; `schema`: of pgvector."""

    job_id: Composable
    vector: Composable
    schema: str

    def statements(self, name: str) -> Sequence[Composable]:
        """That create it, empty."""
        create = SQL("CREATE TABLE {} ({}, vector {})")
        table = place(name)
        return [
            create.format(table, self.job_id, self.vector),
            IN_THE_ROW.format(table),
            PRIMARY_KEY.format(table),
        ]


def place_vectors(
    session: Session, columns: PartColumns, shards: Mapping[str, Shard]
) -> None:
    """Move vectors to where their jobs are, if there are any."""
    with session.transaction() as run:
        found = run(QUERIES["vector_table"])
    parts = [_beside(part) for part in read_parts(session) if part.is_by_hash]
    names = {part.name for part in parts}
    if found and parts:
        ((schema, type_name, is_split),) = found
        declared = VectorColumns(columns.declared["job_id"], SQL(type_name), schema)
        if not is_split:
            _split(session, declared, parts)
        _move_all(session, declared, parts, shards)
    placed = _placed(session)
    for shard in shards.values():
        for name in shard.vector_parts():
            if placed.get(name) != shard.name or name not in names:
                shard.drop(name)


def _beside(part: PlacedPart) -> PlacedPart:
    """The partition of vectors beside one of jobs."""
    end = part.name.removeprefix(JOBS_PREFIX)
    return PlacedPart(VECTORS_PREFIX + end, part.shard, part.bound)


def _placed(session: Session) -> Mapping[str, str | None]:
    with session.transaction() as run:
        return {name: shard for name, shard, _ in run(QUERIES["placed_vectors"])}


def _split(
    session: Session, declared: VectorColumns, parts: Sequence[PlacedPart]
) -> None:
    """Put the vectors into partitions in this database."""
    new = moving("job_vector")
    with session.transaction() as run:
        run(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(TABLE))
        with session.beside() as copying:
            _copy_all(copying, declared, parts, new)
        for right, grantee in run(QUERIES["vector_rights"]):
            run(GRANT.format(SQL(right), new, SQL(grantee)))
        swap(run, SQL("DROP TABLE {}").format(TABLE))
        run(SQL("ALTER TABLE {} SET SCHEMA recommender").format(new))
        run(SQL("DROP SCHEMA {}").format(Identifier(MOVING)))


def _copy_all(
    run: RunStatement,
    declared: VectorColumns,
    parts: Sequence[PlacedPart],
    new: Identifier,
) -> None:
    clear_moving(run)
    run(SQL("CREATE SCHEMA {}").format(Identifier(MOVING)))
    create = SQL("CREATE TABLE {} ({}, vector {}) PARTITION BY HASH (job_id)")
    run(create.format(new, declared.job_id, declared.vector))
    run(IN_THE_ROW.format(new))
    for part in parts:
        create = SQL("CREATE TABLE {} PARTITION OF {} {}")
        run(create.format(place(part.name), new, SQL(part.bound)))
        run(PRIMARY_KEY.format(place(part.name)))
    insert = SQL("INSERT INTO {} ({columns}) SELECT {columns} FROM {}")
    run(insert.format(new, TABLE, columns=STORED_COLUMNS))


def _move_all(
    session: Session,
    declared: VectorColumns,
    parts: Sequence[PlacedPart],
    shards: Mapping[str, Shard],
) -> None:
    placed = _placed(session)
    for part in parts:
        source = placed[part.name]
        if source == part.shard:
            continue
        start = time.monotonic()
        rows = _move(
            session,
            declared,
            part,
            source=shards[source] if source else None,
            target=shards[part.shard] if part.shard else None,
        )
        print(
            f"{part.name} moved to {part.shard or 'the coordinator'}:"
            f" {counted(rows, 'vectors')} in"
            f" {time.monotonic() - start:.1f} s.",
            flush=True,
        )
    with session.transaction() as run:
        for part in parts:
            _grant(run, part.name)
            _grant(run, part.name.replace(VECTORS_PREFIX, JOBS_PREFIX, 1))


def _move(
    session: Session,
    declared: VectorColumns,
    part: PlacedPart,
    *,
    source: Shard | None,
    target: Shard | None,
) -> int:
    """As `moves.move`. Vectors are written through their table alone."""
    old = place(part.name)
    if target is not None:
        statements = declared.statements(part.name)
        target.create_vectors(part.name, statements, schema=declared.schema)
    with (
        telling(part.name, target.name if target else None),
        session.transaction() as run,
    ):
        lock = SQL("LOCK TABLE ONLY {} IN SHARE ROW EXCLUSIVE MODE")
        run(lock.format(TABLE))
        rows = copy_part(session, run, TABLE, part.name, target, columns=STORED_COLUMNS)
        kind = SQL("TABLE" if source is None else "FOREIGN TABLE")
        swap(run, SQL("DROP {} {}").format(kind, old))
        indexes = [PRIMARY_KEY.format(old)]
        attach_part(run, TABLE, part, part.shard, indexes=indexes)
    with session.transaction() as run:
        run(SQL("ANALYZE {}").format(old))
    if source is not None:
        source.drop(part.name)
    return rows


def _grant(run: RunStatement, name: str) -> None:
    """Who may read vectors reads the partitions themselves, and those of the jobs."""
    schema = Identifier(SHARDS_SCHEMA)
    for right, grantee in run(QUERIES["vector_rights"]):
        if right == "SELECT":
            run(GRANT.format(SQL(right), place(name), SQL(grantee)))
            usage = SQL("GRANT USAGE ON SCHEMA {} TO {}")
            run(usage.format(schema, SQL(grantee)))

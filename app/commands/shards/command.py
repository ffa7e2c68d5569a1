"""Spread the jobs over several Postgres servers, or gather them again (docs/shards.md).

FILE lists the servers (TOML): [servers.NAME] with url = "postgresql://…" or
"$VARIABLE". Partitions move until they lie as FILE says, a server that it does not
name any more is emptied, and an interrupted run is continued by the next one. Without
FILE the present layout is shown. DATABASE_URL is the coordinator.

Exit status: 0 when done, 1 for an error, 130 after Ctrl-C.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
from psycopg2.sql import SQL

from app.commands.migrate import alone, connect, sentence
from app.commands.shards.layout import (
    ShardLayout,
    placement,
    read_layout,
    value_of,
)
from app.commands.shards.moves import add_value, move
from app.commands.shards.obstacles import check_layout
from app.commands.shards.servers import (
    drop_server,
    ensure_server,
    foreign_servers,
    token_of,
)
from app.commands.shards.session import Session, clear_moving
from app.commands.shards.shard import PartColumns, Shard
from app.commands.shards.table import (
    JobsTable,
    partition,
    read_columns,
    read_parts,
    read_table,
)
from app.commands.shards.vectors import place_vectors
from app.config import ScriptSettings, read_settings
from app.errors import ConfigError
from app.query.numbers import counted
from app.storage.connection.dsn import primary

SIGINT_STATUS = 130


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        layout = read_layout(args.file) if args.file else None
        with alone(dsn), closing(connect(dsn)) as connection:
            session = Session(connection, dsn)
            if layout is not None:
                lay_out(session, layout)
            _show(session)
    except (ConfigError, psycopg2.Error) as error:
        print(f"shards: {sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("shards: stopped; run it again to continue.", file=sys.stderr)
        return SIGINT_STATUS
    return 0


def lay_out(session: Session, layout: ShardLayout) -> None:
    """Make the layout what it is to be; safe to repeat."""
    jobs = read_table(session)
    layout = check_layout(session, jobs, layout)
    token = token_of(session)
    with ExitStack() as stack:
        known = {**foreign_servers(session), **{s.name: s for s in layout.servers}}
        shards = {
            name: stack.enter_context(Shard.connected(server, token))
            for name, server in known.items()
        }
        _check_servers(session, layout, shards)
        for server in layout.servers:
            shards[server.name].prepare()
        parts = max(len(read_parts(session)), layout.partition_count)
        for server in layout.servers:
            ensure_server(session, server, token, partitions=parts)
        if not jobs.is_ours:
            rows = partition(session, jobs, layout)
            print(f"{counted(rows, 'jobs', 'lie')} in partitions now.", flush=True)
            jobs = read_table(session)
        columns = read_columns(session, jobs)
        _tidy(session, shards, columns)
        _add_values(session, jobs, columns, layout)
        _move_all(session, jobs, columns, layout, shards)
        place_vectors(session, columns, shards)
        for name in known.keys() - {server.name for server in layout.servers}:
            drop_server(session, name)
            shards[name].drop_all()
            print(f"{name} is empty, and no shard any more.", flush=True)


def _check_servers(
    session: Session, layout: ShardLayout, shards: Mapping[str, Shard]
) -> None:
    """Raise ConfigError, before anything is changed, for a server that is not fit."""
    with session.transaction() as run:
        ((encoding,),) = run(SQL("SELECT getdatabaseencoding()"))
    parts = read_parts(session)
    for server in layout.servers:
        placed = [part.name for part in parts if part.shard == server.name]
        shards[server.name].check(encoding, placed)


def _tidy(session: Session, shards: Mapping[str, Shard], columns: PartColumns) -> None:
    """Drop copies that no partition is made of, and add columns that are new."""
    with session.transaction() as run:
        clear_moving(run)
    placed = {part.name: part.shard for part in read_parts(session)}
    for name, shard in shards.items():
        for part in shard.parts():
            if placed.get(part) != name:
                shard.drop(part)
            elif added := shard.add_columns(part, columns):
                print(f"{part} on {name} has {', '.join(added)} now.", flush=True)


def _add_values(
    session: Session, jobs: JobsTable, columns: PartColumns, layout: ShardLayout
) -> None:
    if layout.column is None:
        return
    there = {value_of(part) for part in read_parts(session)}
    for server in layout.servers:
        for value in server.values:
            if value not in there:
                add_value(session, jobs, columns, value)


def _move_all(
    session: Session,
    jobs: JobsTable,
    columns: PartColumns,
    layout: ShardLayout,
    shards: Mapping[str, Shard],
) -> None:
    parts = read_parts(session)
    wanted = placement(parts, layout)
    todo = [part for part in parts if part.shard != wanted[part.name]]
    for number, part in enumerate(todo, 1):
        start = time.monotonic()
        server = wanted[part.name]
        rows = move(
            session,
            jobs,
            columns,
            part,
            source=shards[part.shard] if part.shard else None,
            target=shards[server] if server else None,
        )
        print(
            f"{part.name} moved to {server or 'the coordinator'}:"
            f" {counted(rows, 'jobs')} in"
            f" {time.monotonic() - start:.1f} s ({number} of {len(todo)}).",
            flush=True,
        )


def _show(session: Session) -> None:
    parts = read_parts(session)
    if not parts:
        print("All jobs lie on the coordinator, in one table.")
        return
    counts = Counter(part.shard or "the coordinator" for part in parts)
    for name, count in sorted(counts.items()):
        print(f"{name}: {count} of {len(parts)} partitions")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

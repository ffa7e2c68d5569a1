"""Build the vector index for SEARCH_BACKEND=pgvector, without blocking writes.

Run `scripts/migrate.py --with pgvector` and `scripts/generate_embeddings.py`, which
fills the vectors, before it. An existing valid index is kept. Ctrl-C stops the build;
the next run replaces an unfinished index. Vectors on shards get theirs there.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.sql import SQL, Composable, Identifier, Literal

from app.commands.embed_options import model_name
from app.commands.shards.servers import foreign_servers, shard_of
from app.commands.shards.session import Session
from app.config import ScriptSettings, read_settings
from app.errors import ConfigError, command_line
from app.storage.connection.dsn import primary
from app.storage.entity import UNNAMED_VERSION, vector_table
from app.storage.sql import load

VECTORS = load("vectors")
CATALOGUE = load("catalogue")["vectors"]
IN_USE = load("models")["model_in_use"]

# Chosen by measurement: docs/pgvector-choices.md.
M = 16
EF_CONSTRUCTION = 256
SHOWN_EVERY_S = 2.0

# A model's tables of vectors, with the foreign server of those on shards.
TABLES_OF_VECTORS = SQL(
    "SELECT n.nspname, c.relname, s.srvname FROM ("
    " SELECT relid FROM pg_partition_tree(to_regclass({table}))"
    " UNION SELECT to_regclass({table})) AS own"
    " JOIN pg_class AS c ON c.oid = own.relid AND c.relkind IN ('r', 'f')"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid"
    " LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver"
    " ORDER BY s.srvname, length(c.relname), c.relname"
)
VALID = SQL("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass({})")
PROGRESS = SQL(
    "SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total"
    " FROM pg_stat_progress_create_index WHERE pid = {pid}"
)
SIZE = SQL("SELECT pg_relation_size(to_regclass({}))")


class Building(NamedTuple):
    """A row of PROGRESS. A total is 0 if the phase does not count in that unit."""

    phase: str
    tuples_done: int
    tuples_total: int
    blocks_done: int
    blocks_total: int


def main(
    argv: Sequence[str] | None = None, *, stop: threading.Event | None = None
) -> int:
    """Build the index. `stop` ends the build as Ctrl-C does."""
    args = _parse(argv)
    try:
        dsn = primary(read_settings(ScriptSettings).database_url.get_secret_value())
        with closing(_connect(dsn)) as connection:
            return _build_all(args, connection, dsn, stop or threading.Event())
    except (ConfigError, psycopg2.Error) as error:
        print(f"build_vector_index: {str(error).strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; run it again to start over.", file=sys.stderr)
        return 130


def _build_all(
    args: argparse.Namespace, connection: Connection, dsn: str, stop: threading.Event
) -> int:
    """Of a model's table, or of each of its partitions, where it lies."""
    version = args.model or _rows(connection, IN_USE)[0][0] or UNNAMED_VERSION
    table = vector_table(version)
    found = _rows(connection, CATALOGUE)
    if not found or table not in found[0][1]:
        print(
            f"There are no vectors by {version}; run first:"
            f" {command_line('migrate')} --with pgvector",
            file=sys.stderr,
        )
        return 1
    tables = TABLES_OF_VECTORS.format(table=Literal(f"recommender.{table}"))
    shards = foreign_servers(Session(connection, dsn))
    for schema, name, server in _rows(connection, tables):
        where = dsn if server is None else shards[shard_of(server)].dsn
        vectors = Identifier(schema, name)
        with closing(_connect(where)) as building, closing(_connect(where)) as watching:
            _build(args, building, watching, vectors, pgvector=found[0][0], stop=stop)
        if server is not None:
            # Without the number of rows the planner reads all of them here.
            _rows(connection, SQL("ANALYZE {}").format(vectors))
    return 0


def _build(
    args: argparse.Namespace,
    building: Connection,
    watching: Connection,
    table: Identifier,
    *,
    pgvector: str,
    stop: threading.Event,
) -> None:
    schema, index = table.strings[0], f"{table.strings[1]}_hnsw_idx"
    name = Literal(f"{schema}.{index}")
    found = _rows(building, VALID.format(name))
    if found and found[0][0] and not args.rebuild:
        print(f"The index {schema}.{index} exists; --rebuild replaces it.")
        return
    if found:
        dropped = Identifier(schema, index)
        _rows(building, SQL("DROP INDEX CONCURRENTLY {}").format(dropped))
    # Statistics, so that plans use the index, and the visibility map, for counts.
    print("Vacuuming the vectors …", flush=True)
    _rows(building, SQL("VACUUM (ANALYZE) {}").format(table))
    _rows(building, SQL("SET maintenance_work_mem = {}").format(Literal(args.memory)))
    _rows(
        building,
        SQL("SET max_parallel_maintenance_workers = {}").format(Literal(args.workers)),
    )
    start = time.monotonic()
    statement = VECTORS["build_index"].format(
        index=Identifier(index),
        vector_table=table,
        vectors=Identifier(pgvector),
        m=Literal(args.m),
        ef_construction=Literal(args.ef_construction),
    )
    _run_shown(building, watching, statement, stop)
    size = _rows(building, SIZE.format(name))[0][0]
    print(f"Built in {time.monotonic() - start:.0f} s: {size / 1e6:.0f} MB.")


def _run_shown(
    building: Connection,
    watching: Connection,
    statement: Composable,
    stop: threading.Event,
) -> None:
    """Run the statement in a thread and print its progress every few seconds."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(_rows, building, statement)
        try:
            while not wait([done], SHOWN_EVERY_S).done:
                if stop.is_set():
                    building.cancel()
                for row in _rows(
                    watching, PROGRESS.format(pid=Literal(building.info.backend_pid))
                ):
                    print(_line(Building(*row)), flush=True)
        except KeyboardInterrupt:
            building.cancel()
            raise
        done.result()


def _line(building: Building) -> str:
    for unit, done, total in (
        ("rows", building.tuples_done, building.tuples_total),
        ("blocks", building.blocks_done, building.blocks_total),
    ):
        if total:
            share = f"{100 * done / total:.0f} %"
            return f"{building.phase}: {done} of {total} {unit}, {share}"
    return building.phase


def _connect(dsn: str) -> Connection:
    connection: Connection = psycopg2.connect(dsn)
    # A database or a role may only read by default, and end long statements.
    connection.set_session(readonly=False, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    return connection


def _rows(connection: Connection, statement: Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        type=model_name,
        metavar="NAME",
        help="whose vectors (default: those of the model in use)",
    )
    parser.add_argument("--rebuild", action="store_true", help="replace a valid index")
    parser.add_argument(
        "--memory",
        default="1GB",
        metavar="SIZE",
        help="maintenance_work_mem: a build that exceeds it takes many times as long;"
        " 1.2 KB per job (default: %(default)s)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        help="additional parallel workers (default: %(default)s)",
    )
    parser.add_argument("--m", type=int, default=M, help="default: %(default)s")
    parser.add_argument(
        "--ef-construction",
        type=int,
        default=EF_CONSTRUCTION,
        help="default: %(default)s",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

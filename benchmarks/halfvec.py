"""`vector` beside `halfvec`: the same rows, the same index, in a copy of the table.

`python -m benchmarks.halfvec --rows 100000` prints a line per type and `ef_search`.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.sql import SQL, Identifier, Literal

from benchmarks.recombined import million_server, recombined_table, unit, users_of

QUERIES = 200
TOP_N = 10
EF_SEARCH = (40, 80, 120, 200)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with million_server() as server:
        url = recombined_table(server, args.rows)
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            users = users_of(QUERIES)
            rows = _copy(connection)
            floor = _tenth_best(users, rows)
            for kind in ("halfvec", "vector"):
                _measure(connection, kind, users, rows, floor)
            connection.cursor().execute("DROP TABLE compared")
    return 0


def _copy(connection: Any) -> NDArray[np.float32]:
    """A table of ids and vectors of both types; the embeddings, by id from 1 on."""
    cursor = connection.cursor()
    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    cursor.execute("DROP TABLE IF EXISTS compared")
    cursor.execute(
        "CREATE TABLE compared (id int8, halfvec halfvec(384), vector vector(384))"
    )
    cursor.execute("SELECT embedding FROM skill_job1 ORDER BY job_id")
    stored = b"".join(bytes(row[0]) for row in cursor)
    rows = unit(np.frombuffer(stored, "<f4").reshape(-1, 384))
    for start in range(0, len(rows), 2000):
        part = [str(row) for row in rows[start : start + 2000].tolist()]
        cursor.execute(
            "INSERT INTO compared SELECT %s + n, text::halfvec, text::vector"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS new (text, n)",
            (start, part),
        )
    cursor.execute("VACUUM ANALYZE compared")
    return rows


def _tenth_best(
    users: NDArray[np.float32], rows: NDArray[np.float32]
) -> NDArray[np.float32]:
    scores = users @ rows.T
    return np.partition(scores, -TOP_N, axis=1)[:, -TOP_N]


def _measure(
    connection: Any,
    kind: str,
    users: NDArray[np.float32],
    rows: NDArray[np.float32],
    floor: NDArray[np.float32],
) -> None:
    cursor = connection.cursor()
    cursor.execute("DROP INDEX IF EXISTS compared_idx")
    cursor.execute("SET maintenance_work_mem = '2GB'; SET enable_sort = off")
    start = time.monotonic()
    cursor.execute(
        SQL("CREATE INDEX compared_idx ON compared USING hnsw ({} {})").format(
            Identifier(kind), Identifier(f"{kind}_ip_ops")
        )
    )
    built_s = time.monotonic() - start
    cursor.execute("SELECT pg_relation_size('compared_idx')")
    size_mb = cursor.fetchone()[0] / 1e6
    query = SQL("SELECT id FROM compared ORDER BY {} <#> {}::{} LIMIT 20")
    for ef_search in EF_SEARCH:
        cursor.execute(SQL("SET hnsw.ef_search = {}").format(Literal(ef_search)))
        hits, took_s = 0, []
        for user, least in zip(users, floor, strict=True):
            text = Literal(str(user.tolist()))
            start = time.perf_counter()
            cursor.execute(query.format(Identifier(kind), text, Identifier(kind)))
            found = [row[0] - 1 for row in cursor.fetchall()]
            took_s.append(time.perf_counter() - start)
            # Ties count: the texts are equal.
            hits += min(TOP_N, int((rows[found] @ user >= least - 1e-6).sum()))
        print(
            f"{kind}: built in {built_s:.0f} s, {size_mb:.0f} MB, ef_search"
            f" {ef_search}: recall@10 {hits / TOP_N / len(users):.4f},"
            f" p50 {1000 * np.median(took_s):.1f} ms",
            flush=True,
        )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, metavar="JOBS")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

"""An index of the leading components of the vectors, beside that of the whole ones.

`python -m benchmarks.leading --rows 1000000` copies the directions in which the
embeddings spread most into a table of its own, its rows in the order of likeness
(`--as-they-are`: of their ids), builds an index of it, and compares: the nearest
candidates by the leading components, ranked again by the whole vectors, and a look as
the service takes it. It wants the table and the index that
`python -m benchmarks.million --parts build` made. Not what the service does:
docs/pgvector-choices.md says why.
"""

import argparse
import io
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Literal

from benchmarks.hnsw import look
from benchmarks.nearest import (
    THROUGH_INDEX,
    embeddings,
    halfvec,
    last_of_best,
    measured,
)
from benchmarks.recombined import million_server, recombined_table, users_of

# What the directions are learned from, at least: every so many-th row.
LEARNED_FROM = 20_000
# Rows that lie side by side in no particular order.
LEAST_PART = 32
POWER_STEPS = 6

INDEX = "job_vector_hnsw_idx"
LEADING_INDEX = "leads_lead_idx"
TABLE = SQL(
    "DROP TABLE IF EXISTS leads;"
    " CREATE UNLOGGED TABLE leads (job_id int8, lead halfvec({dimensions}));"
    " ALTER TABLE leads ALTER lead SET STORAGE PLAIN"
)
BUILD = SQL(
    "SET maintenance_work_mem = '3GB';"
    " CREATE INDEX leads_lead_idx ON leads USING hnsw (lead halfvec_ip_ops)"
    " WITH (m = 16, ef_construction = {ef_construction});"
    " SELECT pg_relation_size('leads_lead_idx')"
)
LOOK = SQL(
    "SELECT embedding FROM (SELECT job_id FROM leads ORDER BY lead <#> {lead}"
    " LIMIT {candidates}) AS near CROSS JOIN LATERAL (SELECT embedding, vector"
    " FROM skill_job1 JOIN recommender.job_vector USING (job_id)"
    " WHERE job_id = near.job_id OFFSET 0) AS job"
    " ORDER BY vector <#> {whole} LIMIT {limit}"
)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with million_server() as server:
        url = recombined_table(server, args.rows)
        users = users_of(args.users)
        with closing(psycopg2.connect(url)) as connection:
            floor = last_of_best(connection, users, args.top_n)
            directions = _directions(connection, args.rows, args.dimensions)
            ids, leads = _leads(connection, directions)
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            order = np.arange(len(ids)) if args.as_they_are else in_order(leads)
            _copy(connection, ids[order], leads[order])
            _build(connection, args.ef_construction)
            connection.cursor().execute(THROUGH_INDEX)
            whole = [look(user, args.top_n) for user in users]
            leading = [_look(user, directions, args) for user in users]
            for name, looks, index in (
                ("whole", whole, INDEX),
                ("leading", leading, LEADING_INDEX),
            ) * 2:
                for ef_search in args.ef_search:
                    line = measured(
                        connection, looks, floor, users=users, ef_search=ef_search,
                        index=index, top_n=args.top_n,
                    )  # fmt: skip
                    print(name, line, flush=True)
            connection.cursor().execute("DROP TABLE leads")
    return 0


def in_order(rows: NDArray[np.float16]) -> NDArray[np.int64]:
    """(n,): the rows halved again and again, along the direction in which they differ
    most.
    """
    return np.concatenate(list(_halved(rows, np.arange(len(rows)))))


def _halved(
    rows: NDArray[np.float16], part: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    if len(part) <= LEAST_PART:
        yield part
        return
    centred = rows[part].astype(np.float32)
    centred -= centred.mean(axis=0)
    direction = centred[np.abs(centred).max(axis=1).argmax()]
    for _ in range(POWER_STEPS):
        direction = centred.T @ (centred @ direction)
        direction /= np.linalg.norm(direction) + 1e-12
    order = np.argpartition(centred @ direction, len(part) // 2)
    del centred
    yield from _halved(rows, part[order[: len(part) // 2]])
    yield from _halved(rows, part[order[len(part) // 2 :]])


def _directions(connection: Any, rows: int, count: int) -> NDArray[np.float32]:
    """(384, count - 1): principal components, not centred, since products count."""
    step = max(1, rows // LEARNED_FROM)
    sample = np.concatenate([part[::step] for _, part in embeddings(connection)])
    _, vectors = np.linalg.eigh(sample.T @ sample)
    leading: NDArray[np.float32] = vectors[:, ::-1][:, : count - 1].astype(np.float32)
    return leading


def _leads(
    connection: Any, directions: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """(n,) ids, and (n, count) of unit length: the last component is what is missing.
    Without it the inner product, which the index goes by, favours long ones.
    """
    ids, leads = [], []
    for some, part in embeddings(connection):
        lead = part @ directions
        rest = np.sqrt(np.maximum(0, 1 - np.einsum("ij,ij->i", lead, lead)))
        ids.append(np.array(some))
        leads.append(np.column_stack([lead, rest]).astype(np.float16))
    return np.concatenate(ids), np.concatenate(leads)


def _copy(connection: Any, ids: NDArray[np.int64], leads: NDArray[np.float16]) -> None:
    """Into the table, in COPY's binary format."""
    dimensions = leads.shape[1]
    connection.cursor().execute(TABLE.format(dimensions=Literal(dimensions)))
    record = np.dtype(
        [
            ("fields", ">i2"),
            ("id_length", ">i4"),
            ("id", ">i8"),
            ("length", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("lead", ">f2", (dimensions,)),
        ]
    )
    rows = np.zeros(len(ids), record)
    rows["fields"], rows["id_length"], rows["id"] = 2, 8, ids
    rows["length"], rows["dimensions"] = 4 + 2 * dimensions, dimensions
    rows["lead"] = leads
    head = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    data = io.BytesIO(head + rows.tobytes() + struct.pack(">h", -1))
    connection.cursor().copy_expert("COPY leads FROM STDIN (FORMAT BINARY)", data)


def _build(connection: Any, ef_construction: int) -> None:
    start = time.monotonic()
    cursor = connection.cursor()
    cursor.execute(BUILD.format(ef_construction=Literal(ef_construction)))
    size = cursor.fetchone()[0] / 1e6
    print(f"leading: built in {time.monotonic() - start:.0f} s, {size:.0f} MB")


def _look(
    user: NDArray[np.float32],
    directions: NDArray[np.float32],
    args: argparse.Namespace,
) -> Composable:
    return LOOK.format(
        lead=halfvec(np.append(user @ directions, np.float32(0))),
        whole=halfvec(user),
        candidates=Literal(args.candidates),
        limit=Literal(args.top_n + 1),
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, metavar="JOBS")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--as-they-are", action="store_true", help="in order of ids")
    parser.add_argument("--ef-construction", type=int, default=128)
    parser.add_argument("--ef-search", type=int, nargs="+", default=[80, 100])
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

"""What an index of vectors finds and costs, by its parameters and `ef_search`.

`python -m benchmarks.hnsw --rows 100000 --builds 16,128 16,256` builds the index of
skill_job1 anew for each pair of m and ef_construction; without `--builds` the index
that `python -m benchmarks.million --parts build` made is measured as it is. A line for
each `ef_search`: recall beside float32, time, and pages of 8 KB.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Literal

from app.encoder.checkpoint import MINILM
from app.search.ways import NEAR
from app.storage.tables import JOBS
from app.storage.vector_queries import COMPARABLE
from benchmarks.recombined import (
    USERS,
    embeddings_of,
    million_server,
    recombined_table,
    unit,
)
from benchmarks.servers import ROOT
from benchmarks.tables import real_texts

READ_AT_ONCE = 20_000
EXPLAINED = 50
# As in app.storage.vectors: integers are read faster.
LARGEST = 60_000
# Beyond float32's last digits a job that ties with the last one counts as found.
TIE = 1e-6

SETTINGS = SQL(
    "SET enable_seqscan = off; SET enable_sort = off; SET hnsw.iterative_scan = off"
)
LOOK = SQL(
    "SELECT embedding FROM skill_job1 WHERE {comparable}"
    " ORDER BY embedding_vec <#> {query} LIMIT {limit}"
)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with million_server() as server:
        url = recombined_table(server, args.rows)
        users = unit(embeddings_of("users", real_texts("users", USERS)))[: args.users]
        with closing(psycopg2.connect(url)) as connection:
            floor = _last_of_best(connection, users, args.top_n)
        for build in args.builds or [None]:
            if build:
                _build(url, *build.split(","))
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                connection.cursor().execute(SETTINGS)
                for ef_search in args.ef_search:
                    line = _measure(connection, users, floor, ef_search, args.top_n)
                    print(build or "as it is", line, flush=True)
    return 0


def _last_of_best(
    connection: Any, users: NDArray[np.float32], top_n: int
) -> NDArray[np.float32]:
    """(q,): the exact score of each user's N-th best job."""
    best = np.full((len(users), top_n), -np.inf, np.float32)
    for rows in _embeddings(connection):
        scores = np.concatenate([best, users @ rows.T], axis=1)
        best = np.partition(scores, -top_n, axis=1)[:, -top_n:]
    lowest: NDArray[np.float32] = best.min(axis=1)
    return lowest


def _embeddings(connection: Any) -> Iterator[NDArray[np.float32]]:
    """All of them, (n, 384) of unit length at a time."""
    with connection.cursor("every") as cursor:
        cursor.execute("SELECT embedding FROM skill_job1")
        while rows := cursor.fetchmany(READ_AT_ONCE):
            yield _matrix(rows)


def _matrix(rows: Sequence[tuple[Any]]) -> NDArray[np.float32]:
    stored = b"".join(bytes(row[0]) for row in rows)
    return unit(np.frombuffer(stored, "<f4").reshape(-1, 384))


def _build(url: str, m: str, ef_construction: str) -> None:
    script = str(ROOT / "scripts" / "build_vector_index.py")
    options = ["--rebuild", "--memory", "3GB", "--m", m]
    start = time.monotonic()
    subprocess.run(
        [sys.executable, script, *options, "--ef-construction", ef_construction],
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    print(f"m {m}, ef_construction {ef_construction}: {time.monotonic() - start:.0f} s")


def _measure(
    connection: Any,
    users: NDArray[np.float32],
    floor: NDArray[np.float32],
    ef_search: int,
    top_n: int,
) -> str:
    cursor = connection.cursor()
    cursor.execute(SQL("SET hnsw.ef_search = {}").format(Literal(ef_search)))
    hits, whole, took_s, pages = 0, 0, [], []
    for number, (user, least) in enumerate(zip(users, floor, strict=True)):
        look = _look(user, top_n)
        start = time.perf_counter()
        cursor.execute(look)
        rows = cursor.fetchall()
        took_s.append(time.perf_counter() - start)
        found = min(top_n, int((_matrix(rows) @ user >= least - TIE).sum()))
        hits += found
        whole += found == top_n
        if number < EXPLAINED:
            pages.append(_pages(cursor, look))
    return (
        f"ef_search {ef_search}: recall@{top_n} {hits / top_n / len(users):.4f},"
        f" {whole} of {len(users)} whole, p50 {1000 * np.median(took_s):.2f} ms,"
        f" {np.mean(pages):.0f} pages"
    )


def _look(user: NDArray[np.float32], top_n: int) -> Composable:
    scaled = np.rint(user * (LARGEST / np.abs(user).max())).astype(int).tolist()
    return LOOK.format(
        comparable=JOBS.format(COMPARABLE, version=MINILM.name),
        query=SQL("{}::halfvec").format(Literal(str(scaled))),
        # One more than is shown tells whether there is a next page.
        limit=Literal(top_n + 1 + NEAR.spare),
    )


def _pages(cursor: Any, look: Composable) -> int:
    """Those of the index, and of the rows that it gave."""
    cursor.execute(SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {}").format(look))
    plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "embedding_vec_idx" in plan, plan  # noqa: S101
    everything = next(line for line in plan.splitlines() if "Buffers:" in line)
    return sum(int(n) for n in re.findall(r"(?:hit|read)=(\d+)", everything))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, metavar="JOBS")
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("--builds", nargs="*", default=[], metavar="M,EF_CONSTRUCTION")
    parser.add_argument(
        "--ef-search", type=int, nargs="+", default=[40, 60, 80, 100, 120]
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

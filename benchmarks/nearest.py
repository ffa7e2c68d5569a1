"""How many of the exactly best jobs a search finds, and what it costs."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Composed, Literal

from benchmarks.recombined import unit

READ_AT_ONCE = 20_000
EXPLAINED = 50
# As in app.storage.vectors: integers are read faster.
LARGEST = 60_000
# Beyond float32's last digits a job that ties with the last one counts as found.
TIE = 1e-6

THROUGH_INDEX = SQL(
    "SET enable_seqscan = off; SET enable_sort = off; SET enable_hashjoin = off;"
    " SET enable_mergejoin = off; SET hnsw.iterative_scan = off"
)


def embeddings(connection: Any) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """All jobs, some at a time: their ids, and (n, 384) of unit length."""
    with connection.cursor("every") as cursor:
        cursor.execute("SELECT embedding, job_id FROM skill_job1 ORDER BY job_id")
        while rows := cursor.fetchmany(READ_AT_ONCE):
            yield [row[1] for row in rows], matrix(rows)


def matrix(rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float32]:
    """(n, 384) of unit length, from rows that begin with an embedding."""
    stored = b"".join(bytes(row[0]) for row in rows)
    return unit(np.frombuffer(stored, "<f4").reshape(-1, 384))


def last_of_best(
    connection: Any, users: NDArray[np.float32], top_n: int
) -> NDArray[np.float32]:
    """(q,): the exact score of each user's N-th best job."""
    best = np.full((len(users), top_n), -np.inf, np.float32)
    for _, rows in embeddings(connection):
        scores = np.concatenate([best, users @ rows.T], axis=1)
        best = np.partition(scores, -top_n, axis=1)[:, -top_n:]
    lowest: NDArray[np.float32] = best.min(axis=1)
    return lowest


def halfvec(vector: NDArray[np.float32]) -> Composed:
    """A query, up to a factor."""
    scaled = np.rint(vector * (LARGEST / np.abs(vector).max())).astype(int).tolist()
    return SQL("{}::halfvec").format(Literal(str(scaled)))


def measured(
    connection: Any,
    looks: Sequence[Composable],
    floor: NDArray[np.float32],
    *,
    users: NDArray[np.float32],
    ef_search: int,
    index: str,
    top_n: int,
) -> str:
    """A line: `looks`, one for each user, give the embeddings of candidates."""
    cursor = connection.cursor()
    cursor.execute(SQL("SET hnsw.ef_search = {}").format(Literal(ef_search)))
    hits, whole, took_s, pages = 0, 0, [], []
    for number, (look, user, least) in enumerate(zip(looks, users, floor, strict=True)):
        start = time.perf_counter()
        cursor.execute(look)
        rows = cursor.fetchall()
        took_s.append(time.perf_counter() - start)
        found = min(top_n, int((matrix(rows) @ user >= least - TIE).sum()))
        hits += found
        whole += found == top_n
        if number < EXPLAINED:
            pages.append(_pages(cursor, look, index))
    return (
        f"ef_search {ef_search}: recall@{top_n} {hits / top_n / len(looks):.4f},"
        f" {whole} of {len(looks)} whole, p50 {1000 * np.median(took_s):.2f} ms,"
        f" {np.mean(pages):.0f} pages"
    )


def _pages(cursor: Any, look: Composable, index: str) -> int:
    """Those of the index, and of the rows that it gave."""
    cursor.execute(SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {}").format(look))
    plan = "\n".join(row[0] for row in cursor.fetchall())
    assert index in plan, plan  # noqa: S101
    everything = next(line for line in plan.splitlines() if "Buffers:" in line)
    return sum(int(n) for n in re.findall(r"(?:hit|read)=(\d+)", everything))

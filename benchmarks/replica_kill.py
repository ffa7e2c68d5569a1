"""`python -m benchmarks.replica_kill`: kill the service again and again, and compare.

A writer changes jobs and a client asks while the service runs with a replica. SIGKILL
ends it. After the restart its answers are compared with the full scan while nothing
changes, until one of them comes from the files.
"""

import argparse
import json
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from os import kill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.deadline import Deadline
from app.encoder.lazy import LazyEncoder
from app.query.query import BatchKey, Query
from app.ranking.retrieval.base import SearchRequest
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from benchmarks.replica_soak import SCOPE, STREAM, Seen, empty_table, write
from benchmarks.servers import MODEL_DIR, Running, project
from benchmarks.tables import bench_server
from benchmarks.wire import Counter, counted

TEXT = "python, sql"
TOP_N = 50
# A full scan of the table receives megabytes, the replica some kilobytes.
FROM_FILES_BYTES = 500_000
FILLED_WITHIN_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args(argv)
    seen = Seen()
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        _kill(empty_table(server, "replica_kill"), folder, seen, args.kills)
    return seen.report(f"{args.kills} kills")


def _kill(url: str, folder: str, seen: Seen, kills: int) -> None:
    asked = LazyEncoder(MODEL_DIR).encode([TEXT])
    stop, pause = threading.Event(), threading.Lock()
    writer = threading.Thread(target=write, args=(url, 7, stop, seen, pause))
    writer.start()
    instants = np.random.default_rng(5)
    settings = {"SEARCH_BACKEND": "replica", "CACHE_DIR": folder}
    try:
        with (
            closing(Database(url, pool_size=2)) as database,
            counted(url) as (proxied, counter),
        ):
            for number in range(kills + 1):
                with project(proxied, **settings) as running:
                    with pause:
                        _compare(running, counter, database, asked, seen)
                    if number < kills:
                        _ask_until(running, instants.uniform(0, 1), seen)
                        kill(running.pid, signal.SIGKILL)
    finally:
        stop.set()
        writer.join()


def _compare(
    running: Running,
    counter: Counter,
    database: Database,
    asked: NDArray[np.float32],  # (1, dimension)
    seen: Seen,
) -> None:
    """Compare answers until one comes from the files."""
    key = BatchKey("similarity")
    with database.snapshot(Deadline.after(60)) as transaction:
        catalogue = Catalogue.read(transaction)
        request = SearchRequest(key, [Query(key, TOP_N, text=TEXT)], asked)
        expected = STREAM.search(transaction, catalogue, request, SCOPE)
    ids = [ranked.id for ranked in expected.ranked[0]]
    until = time.monotonic() + FILLED_WITHIN_S
    while time.monotonic() < until:
        before = counter.received
        found = _answer(running, seen)
        if found is None:
            continue
        from_files = counter.received - before < FROM_FILES_BYTES
        is_right = (found["total_jobs_analyzed"], _ids(found)) == (
            expected.analyzed,
            ids,
        )
        name = f"answers after a restart, from the {'files' if from_files else 'table'}"
        seen.add(name, wrong="" if is_right else f"{name}: differ")
        if from_files:
            return
    seen.add("restarts", wrong="no answer came from the files")


def _ids(found: Any) -> list[int]:
    return [hit["job_id"] for hit in found["recommendations"]]


def _ask_until(running: Running, seconds: float, seen: Seen) -> None:
    """Ask while jobs change, so that the kill hits the work for requests too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError):
            if _answer(running, seen) is not None:
                seen.add("answers while jobs change")


def _answer(running: Running, seen: Seen) -> Any:
    """What it says; None for an error, on a busy machine at its deadline."""
    body = {"skills": TEXT, "top_n": TOP_N, "distinct": False}
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=60)) as connection:
        connection.request(
            "POST",
            "/api/recommend",
            json.dumps(body),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        found = json.load(response)
    if response.status != HTTPStatus.OK:
        seen.add(f"answers {response.status}: {found['detail']}")
        return None
    return found


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m benchmarks.replica`: the replica beside the stream, for one client.

Both services run over the same table, and take turns. The floor is the stream's COPY
into a callback that discards the bytes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import Load, closed_loop
from benchmarks.measure import FLOOR, floor, known_user
from benchmarks.servers import STARTED_WITHIN_S, project
from benchmarks.tables import USERS, bench_server, table_of
from benchmarks.wire import counted

BACKENDS = ("stream", "replica")
HEAD = "| jobs | backend | p50 ms | p95 ms | bytes a request | RssAnon MB | fill s |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    print(f"{HEAD}\n{'| --- ' * 7}|")
    with bench_server() as server:
        for rows in args.rows:
            _measure(table_of(server, rows), rows, args.rounds)
    return 0


@dataclass
class Measured:
    """What one backend costs: a request's bytes, MB that cannot be reclaimed, seconds
    until the replica is complete.
    """

    load: Load = field(default_factory=Load)
    request_bytes: float | None = None
    anon_mb: float | None = None
    filled_s: float | None = None

    def row(self, rows: int, name: str) -> str:
        load = self.load
        figures = (
            f"{load.percentile_ms(50):.1f}",
            f"{load.percentile_ms(95):.1f}",
            "" if self.request_bytes is None else f"{self.request_bytes:,.0f}",
            "" if self.anon_mb is None else f"{self.anon_mb:.1f}",
            "" if self.filled_s is None else f"{self.filled_s:.1f}",
        )
        return f"| {rows:,} | {name} | {' | '.join(figures)} |"


def _measure(url: str, rows: int, rounds: int) -> None:
    found = {backend: Measured() for backend in (*BACKENDS, FLOOR)}
    with ExitStack() as stack:
        servers, counters = {}, {}
        for backend in BACKENDS:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            proxied, counters[backend] = stack.enter_context(counted(url))
            start = time.perf_counter()
            servers[backend] = stack.enter_context(
                project(proxied, SEARCH_BACKEND=backend, CACHE_DIR=folder)
            )
            if backend == "replica":
                _wait_until_filled(Path(folder))
                found[backend].filled_s = time.perf_counter() - start
            # The service remembers the embeddings of recent users.
            closed_loop(servers[backend].port, known_user, clients=16, requests=USERS)
        for _ in range(rounds):
            found[FLOOR].load.merge(floor(url, seconds=1.0))
            for backend, running in servers.items():
                before = counters[backend].received
                load = closed_loop(running.port, known_user, clients=1, seconds=3.0)
                if set(load.statuses) != {200}:
                    raise RuntimeError(f"{backend} answered {load.statuses}")
                found[backend].load.merge(load)
                bytes_read = counters[backend].received - before
                found[backend].request_bytes = bytes_read / len(load.latencies_s)
                found[backend].anon_mb = running.memory().anon_mb
    for name, measured in found.items():
        print(measured.row(rows, name), flush=True)


def _wait_until_filled(folder: Path) -> None:
    path, deadline = folder / "replica" / "manifest.json", time.monotonic()
    while time.monotonic() < deadline + STARTED_WITHIN_S:
        if path.exists() and json.loads(path.read_text())["complete"]:
            return
        time.sleep(0.05)
    raise TimeoutError("the replica was not filled")


if __name__ == "__main__":
    raise SystemExit(main())

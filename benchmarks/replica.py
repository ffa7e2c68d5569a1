"""`python -m benchmarks.replica`: the replica beside the stream, and others if asked.

The services run over the same table, and take turns. The floor is the stream's COPY
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
from benchmarks.memory import LIMIT_BYTES, under_limit
from benchmarks.rankings import table_with_skills
from benchmarks.recombined import migrate
from benchmarks.servers import GUIDE_DESIGNS, STARTED_WITHIN_S, Running, guide, project
from benchmarks.tables import DATA, USERS, bench_server, table_of
from benchmarks.vector_index import build_index, fill_vectors
from benchmarks.wire import Counter, Link, counted

BACKENDS = ("stream", "replica", "pgvector")
# Those that the guide describes serve one request at a time.
DESIGNS = (*BACKENDS, *GUIDE_DESIGNS)
HEAD = (
    "| jobs | backend | clients | p50 ms | p95 ms | per second | bytes a request"
    " | round trips a request | RssAnon MB | fill s |"
)
SECONDS = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    link = Link(args.round_trip_ms / 1000, args.megabits * 125_000)
    print(f"{HEAD}\n{'| --- ' * 10}|")
    with bench_server() as server:
        for rows in args.rows:
            table = table_of if args.rank_by == "similarity" else table_with_skills
            plan = Plan(
                rows, args.backends, args.rank_by, args.clients, args.rounds, link
            )
            url = table(server, rows)
            _measure(url, plan)
            if args.limited:
                _under_limit(url, rows, args.clients)
    return 0


@dataclass(frozen=True)
class Plan:
    rows: int
    backends: Sequence[str]
    rank_by: str
    clients: Sequence[int]
    rounds: int
    link: Link


@dataclass
class Measured:
    """What one backend costs with some number of clients."""

    load: Load = field(default_factory=Load)
    received_bytes: int = 0
    round_trips: int = 0
    anon_mb: float | None = None
    filled_s: float | None = None

    def row(self, rows: int, name: str, clients: int) -> str:
        load, requests = self.load, len(self.load.latencies_s)
        figures = (
            f"{load.percentile_ms(50):.1f}",
            f"{load.percentile_ms(95):.1f}",
            f"{load.per_second:.1f}",
            f"{self.received_bytes / requests:,.0f}" if self.received_bytes else "",
            f"{self.round_trips / requests:.2f}" if self.round_trips else "",
            "" if self.anon_mb is None else f"{self.anon_mb:.1f}",
            "" if self.filled_s is None else f"{self.filled_s:.1f}",
        )
        return f"| {rows:,} | {name} | {clients} | {' | '.join(figures)} |"


def _measure(url: str, plan: Plan) -> None:
    floors = Measured()
    found = {
        (backend, clients): Measured()
        for backend in plan.backends
        for clients in plan.clients
        if clients == 1 or backend in BACKENDS
    }
    if "pgvector" in plan.backends:
        migrate(url, "--with", "pgvector")
        fill_vectors(url)
        build_index(url)
    with ExitStack() as stack:
        servers: dict[str, tuple[Running, Counter]] = {}
        for backend in plan.backends:
            proxied, counter = stack.enter_context(counted(url, link=plan.link))
            if backend in GUIDE_DESIGNS:
                server = stack.enter_context(guide(backend, proxied))
                closed_loop(server.port, known_user, clients=1, requests=2)
                servers[backend] = server, counter
                continue
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = {
                "SEARCH_BACKEND": backend,
                "RANK_BY": plan.rank_by,
                "CACHE_DIR": folder,
                "SKILL_CACHE_DIR": str(DATA / f"skills-{plan.rows}"),
                "REQUEST_TIMEOUT_S": "120",
            }
            start = time.perf_counter()
            running = stack.enter_context(project(proxied, **settings))
            servers[backend] = running, counter
            if backend == "replica":
                wait_until_filled(Path(folder))
                filled_s = time.perf_counter() - start
                found[backend, plan.clients[0]].filled_s = filled_s
            # The service remembers the embeddings of recent users.
            closed_loop(running.port, known_user, clients=16, requests=USERS // 10)
        for _ in range(plan.rounds):
            floors.load.merge(floor(url, seconds=1.0))
            for (backend, clients), measured in found.items():
                _slice(*servers[backend], measured, clients)
    print(floors.row(plan.rows, FLOOR, 1), flush=True)
    for (backend, clients), measured in found.items():
        print(measured.row(plan.rows, backend, clients), flush=True)


def _under_limit(url: str, rows: int, clients: Sequence[int]) -> None:
    """The service over files that are there, with 110 MB in all, page cache included:
    without a limit and with it.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = {"SEARCH_BACKEND": "replica", "CACHE_DIR": folder}
        with project(url, **settings):
            wait_until_filled(Path(folder))
        for number in clients:
            for limit in (None, LIMIT_BYTES):
                seen = under_limit(
                    url,
                    memory_bytes=limit,
                    clients=number,
                    seconds=SECONDS,
                    settings=settings,
                )
                print(
                    f"{rows:,} jobs, {number} clients,"
                    f" {'no limit' if limit is None else '110 MB'}:"
                    f" p50 {seen.load.percentile_ms(50):.1f} ms,"
                    f" {seen.load.per_second:.0f} a second, {seen.load.statuses},"
                    f" RssAnon {seen.anon_mb:.1f} MB, killed {seen.oom_kills} times",
                    flush=True,
                )


def _slice(server: Running, counter: Counter, measured: Measured, clients: int) -> None:
    received, sent = counter.received, counter.messages
    load = closed_loop(server.port, known_user, clients=clients, seconds=SECONDS)
    measured.load.merge(load.all_answered())
    measured.received_bytes += counter.received - received
    measured.round_trips += counter.messages - sent
    measured.anon_mb = server.memory().anon_mb


def wait_until_filled(folder: Path, *, within_s: float = STARTED_WITHIN_S) -> None:
    """Wait until the replica in this CACHE_DIR is complete."""
    path, deadline = folder / "replica" / "manifest.json", time.monotonic()
    while time.monotonic() < deadline + within_s:
        if path.exists() and json.loads(path.read_text())["complete"]:
            return
        time.sleep(0.05)
    raise TimeoutError("the replica was not filled")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument(
        "--backends", nargs="+", choices=DESIGNS, default=["stream", "replica"]
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--limited", action="store_true", help="the replica in 110 MB as well"
    )
    parser.add_argument("--rank-by", default="similarity")
    parser.add_argument("--round-trip-ms", type=float, default=0.0)
    parser.add_argument(
        "--megabits", type=float, default=0.0, help="per second; 0: no limit"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())

"""Jobs on shards beside one database: equal answers, time, memory, and the plans.

python -m benchmarks.shards [--jobs 20000 50000 200000] [--partitions 4 16]
[--shards 2 4] [--backends stream replica pgvector]. All servers run on this machine, so
that the figures say what shards cost, not what more machines bring. pgvector is
approximate: of its answers the share is shown that an exact scan gives. The last table
has the memory of the coordinator's sessions for each size.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier

from app.commands.migrate import migrate
from benchmarks.load import closed_loop
from benchmarks.replica import wait_until_filled
from benchmarks.servers import Running, project
from benchmarks.session_memory import peak_memory
from benchmarks.shards_plans import BY_ID, TOP_N, near_statement, show_plans
from benchmarks.shards_table import USERS, fill
from benchmarks.vector_index import build_index, fill_vectors
from tests.support.postgres import TEMPLATE, run
from tests.support.shards import NAMES, Databases, Fleet, running_fleet

USERS_AT_ONCE = 50
# The others of pgvector are those of the stream.
RANKINGS = {
    "stream": ("similarity", "skills", "hybrid"),
    "replica": ("similarity", "skills", "hybrid"),
    "pgvector": ("similarity",),
}
ONE = "one_database"
# An answer of the service, as JSON.
Answer = dict[str, Any]
# As benchmarks of other parts: enough memory for the tables of one server.
SETTINGS = {"fsync": "off", "shared_buffers": "256MB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class LaidOut:
    """One layout, and the service beside it that reads one database. `url` and `one`:
    of both databases, on the server `coordinator`.
    """

    coordinator: str
    databases: Databases
    one: str
    jobs: int
    partitions: int
    shards: int

    @property
    def urls(self) -> Mapping[str, str]:
        return {"one database": self.one, f"{self.shards} shards": self.databases.url}


def main() -> int:
    args = _parse()
    memory: list[str] = []
    with running_fleet(max(args.shards), settings=SETTINGS) as fleet:
        for jobs in args.jobs:
            with _one_database(fleet, jobs, args.backends) as one:
                for partitions in args.partitions:
                    memory += _layouts(fleet, one, jobs, partitions, args)
    print("| jobs | partitions | shards | backend, ranking | one database | shards |")
    print("| --- " * 6 + "|")
    print("\n".join(memory))
    print("MB of a session that cannot be reclaimed, at most")
    return 0


@contextmanager
def _one_database(fleet: Fleet, jobs: int, backends: Sequence[str]) -> Iterator[str]:
    """The connection string of a database that holds all."""
    server = fleet.nodes[0].url
    create = SQL("CREATE DATABASE {} TEMPLATE {}")
    run(server, create.format(Identifier(ONE), Identifier(TEMPLATE)))
    url = make_dsn(server, dbname=ONE)
    try:
        fill(url, jobs)
        if "pgvector" in backends:
            list(migrate(url, extras=["pgvector"]))
            fill_vectors(url)
            build_index(url)
            run(url, "VACUUM ANALYZE")
        yield url
    finally:
        drop = SQL("DROP DATABASE {} WITH (FORCE)")
        run(server, drop.format(Identifier(ONE)))


def _layouts(
    fleet: Fleet, one: str, jobs: int, partitions: int, args: argparse.Namespace
) -> Iterator[str]:
    """A copy of that database on each number of shards in turn. Yields lines of the
    table of memory.
    """
    with fleet.fresh(template=ONE) as databases:
        run(databases.url, "SELECT recommender.adopt()")
        os.environ["DATABASE_URL"] = databases.url
        for shards in args.shards:
            layout = LaidOut(
                fleet.nodes[0].url, databases, one, jobs, partitions, shards
            )
            yield from _compare(layout, args)


def _compare(layout: LaidOut, args: argparse.Namespace) -> Iterator[str]:
    """One layout beside one database, by each backend, in turns."""
    names, databases = NAMES[: layout.shards], layout.databases
    size = f"{layout.jobs} jobs, {layout.partitions} partitions, {layout.shards} shards"
    with TemporaryDirectory() as folder:
        if databases.lay_out(Path(folder), names, partitions=layout.partitions):
            raise RuntimeError("the shards were not laid out")
        if "pgvector" in args.backends:
            build_index(databases.url)
        for backend in args.backends:
            with services_over(layout.urls, folder, backend) as services:
                for ranking in RANKINGS[backend]:
                    print(f"{size}, {backend}, {ranking}:", flush=True)
                    show_equal(services, ranking, is_exact=backend != "pgvector")
                    held = report(services, ranking, layout, args)
                    yield (
                        f"| {layout.jobs:,} | {layout.partitions} | {layout.shards}"
                        f" | {backend}, {ranking}"
                        f" | {' | '.join(f'{mb:.1f}' for mb in held)} |"
                    )
            if backend == "pgvector":
                show_plans(databases, names, near_statement(databases.url))
    show_plans(databases, names, BY_ID)


@contextmanager
def services_over(
    urls: Mapping[str, str], folder: str, backend: str
) -> Iterator[dict[str, Running]]:
    """One service for each database, ready to answer by its backend."""
    with ExitStack() as stack:
        found = {}
        for name, url in urls.items():
            own = Path(folder) / backend / name.replace(" ", "_")
            settings = {
                "SEARCH_BACKEND": backend,
                "RATE_LIMIT_PER_MINUTE": "0",
                "REQUEST_TIMEOUT_S": "120",
                "CACHE_DIR": str(own),
                "SKILL_CACHE_DIR": str(own / "skills"),
            }
            found[name] = stack.enter_context(project(url, **settings))
            if backend == "replica":
                wait_until_filled(own, within_s=600)
        yield found


def show_equal(
    services: Mapping[str, Running], ranking: str, *, is_exact: bool
) -> None:
    """How many users get the same, to the last digit; or what an index finds of it."""
    one, other = services.values()
    if is_exact:
        wanted, found = answers(one, ranking), answers(other, ranking)
        equal = sum(
            len(a["recommendations"]) == TOP_N and a == b
            for a, b in zip(wanted, found, strict=True)
        )
        print(f"  {equal} of {USERS} users equal to one database")
        return
    exact = answers(one, ranking, exact=True)
    for name, service in services.items():
        print(f"  recall of {name}: {recall(answers(service, ranking), exact):.4f}")


def recall(found: Sequence[Answer], exact: Sequence[Answer]) -> float:
    """The share of the best jobs of an exact scan."""
    pairs = [
        [{hit["job_id"] for hit in answer["recommendations"]} for answer in both]
        for both in zip(found, exact, strict=True)
    ]
    return sum(len(a & b) for a, b in pairs) / sum(len(b) for _, b in pairs)


def answers(service: Running, ranking: str, **options: object) -> list[Answer]:
    """Of all users."""
    url = f"http://127.0.0.1:{service.port}/api/recommend/batch"
    found: list[Answer] = []
    with httpx.Client(timeout=180) as client:
        for first in range(1, USERS + 1, USERS_AT_ONCE):
            users = list(range(first, first + USERS_AT_ONCE))
            body = {"user_ids": users, "top_n": TOP_N, "rank_by": ranking, **options}
            found += client.post(url, json=body).raise_for_status().json()["results"]
    return found


def report(
    services: Mapping[str, Running],
    ranking: str,
    layout: LaidOut,
    args: argparse.Namespace,
) -> list[float]:
    """Print the median of one client, and the memory of the coordinator's sessions,
    which is returned, in MB.
    """
    took: dict[str, list[float]] = {name: [] for name in services}
    peak: dict[str, float] = dict.fromkeys(services, 0.0)
    for _ in range(args.rounds):
        for name, service in services.items():
            database = parse_dsn(layout.urls[name])["dbname"]
            with peak_memory(layout.coordinator, database) as seen:
                load = closed_loop(
                    service.port,
                    lambda n: {"user_id": n % USERS + 1, "rank_by": ranking},
                    clients=1,
                    seconds=args.seconds,
                )
            if set(load.statuses) != {200}:
                raise RuntimeError(f"{name}: {load.statuses}")
            took[name].append(load.percentile_ms(50))
            peak[name] = max(peak[name], *seen)
    base, other = (statistics.median(each) for each in took.values())
    for name, ms in zip(services, (base, other), strict=True):
        print(
            f"  {name}: p50 {ms:.1f} ms, session {peak[name]:.1f} MB not reclaimable"
            " at most"
        )
    print(f"  {other / base:.2f} times the time of one database", flush=True)
    return list(peak.values())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[200_000])
    parser.add_argument("--partitions", type=int, nargs="+", default=[16])
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--backends", nargs="+", choices=RANKINGS, default=list(RANKINGS)
    )
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("ENV_FILE", os.devnull)
    sys.exit(main())

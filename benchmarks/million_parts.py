"""What is measured of a table of `benchmarks.million`: each part gives its figures."""

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.cgroup import NoCgroupError, drop_caches
from benchmarks.cgroup import limited as limited_group
from benchmarks.load import closed_loop
from benchmarks.memory import LIMIT_BYTES, inside
from benchmarks.processor import processor_s
from benchmarks.recombined import USERS
from benchmarks.replica import wait_until_filled
from benchmarks.servers import Running, project
from benchmarks.tables import DATA
from benchmarks.wire import Link, counted

CLIENTS = (1, 16, 64)
TOP_N = 10
# As between two halls of one provider.
ROUND_TRIP_S = 0.002
# A stream of a million jobs takes seconds, and many clients wait for one another.
PATIENT = {"REQUEST_TIMEOUT_S": "300"}
PGVECTOR = {"SEARCH_BACKEND": "pgvector"}
# The whole host of Render's Starter.
HOST_BYTES = 512 * 1024**2


def user(number: int) -> dict[str, Any]:
    return {"user_id": 1 + number % USERS, "top_n": TOP_N}


def latency(url: str, args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with project(url, **PGVECTOR) as server:
        closed_loop(server.port, user, clients=16, requests=USERS).all_answered()
        found |= _loads(server, url, args)
    found["huge_pages"] = row(url, "SHOW huge_pages_status")[0]
    return found


def _loads(server: Running, url: str, args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for clients in CLIENTS:
        before = processor_s(server, url)
        load = closed_loop(server.port, user, clients=clients, seconds=args.seconds)
        spent = [
            1000 * (after - start) / len(load.latencies_s)
            for start, after in zip(before, processor_s(server, url), strict=True)
        ]
        found[str(clients)] = load.summary() | {"processor_ms": spent}
    found["anon_mb"] = server.memory().anon_mb
    return found


def replica(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Filled once, then asked; and again over its files, by a service in 512 MB."""
    found: dict[str, Any] = {}
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        settings = PATIENT | {"SEARCH_BACKEND": "replica", "CACHE_DIR": folder}
        start = time.monotonic()
        with project(url, **settings) as server:
            wait_until_filled(Path(folder))
            found["filled_s"] = time.monotonic() - start
            closed_loop(server.port, user, clients=16, requests=USERS).all_answered()
            found |= _loads(server, url, args)
        files = Path(folder).rglob("*")
        found["files_mb"] = sum(file.stat().st_size for file in files) / 1e6
        found["limited"] = _limited(url, args, HOST_BYTES, settings)
    return found


def stream(url: str, args: argparse.Namespace) -> dict[str, Any]:
    with project(url, **PATIENT) as server:
        closed_loop(server.port, user, clients=1, requests=1)
        load = closed_loop(server.port, user, clients=1, requests=args.stream_requests)
        memory = server.memory()
        return load.summary() | {
            "anon_mb": memory.anon_mb,
            "peak_rss_mb": memory.peak_rss_mb,
        }


def recall(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Beside `"exact": true` of the same service. A job that ties with the exact
    answer's last one counts as found: scores decide, not ids.
    """
    exact: dict[int, list[float]] = {}
    hits = jobs = wrong = 0

    def remember(body: dict[str, Any], answer: dict[str, Any]) -> None:
        exact[body["user_id"]] = _scores(answer)

    def compare(body: dict[str, Any], answer: dict[str, Any]) -> None:
        nonlocal hits, jobs, wrong
        wanted, got = exact[body["user_id"]], _scores(answer)
        jobs += len(wanted)
        hits += sum(score >= wanted[-1] for score in got)
        wrong += len(got) != len(wanted) or got != sorted(got, reverse=True)

    with project(url, **PGVECTOR, **PATIENT) as server:
        slow = closed_loop(
            server.port,
            lambda n: user(n) | {"exact": True},
            clients=1,
            requests=args.recall_users,
            seconds=3600,
            check=remember,
        )
        closed_loop(
            server.port, user, clients=4, requests=args.recall_users, check=compare
        )
    return {
        "users": args.recall_users,
        "recall_at_10": hits / jobs,
        "wrong": wrong,
        "exact_p50_ms": slow.percentile_ms(50),
    }


def _scores(answer: dict[str, Any]) -> list[float]:
    return [job["similarity_score"] for job in answer["recommendations"]]


def traffic(url: str, _args: argparse.Namespace) -> dict[str, Any]:
    with counted(url) as (proxied, counter), project(proxied, **PGVECTOR) as server:
        closed_loop(server.port, user, clients=1, requests=10)
        before = counter.received
        load = closed_loop(server.port, user, clients=1, requests=500).all_answered()
        return {"received_bytes": (counter.received - before) / len(load.latencies_s)}


def distant(url: str, _args: argparse.Namespace) -> dict[str, Any]:
    """One client, and a database that is not next door."""
    with (
        counted(url, link=Link(ROUND_TRIP_S)) as (proxied, _counter),
        project(proxied, **PGVECTOR) as server,
    ):
        closed_loop(server.port, user, clients=1, requests=100)
        load = closed_loop(server.port, user, clients=1, requests=1000)
        return load.summary() | {"round_trip_ms": 1000 * ROUND_TRIP_S}


def limited(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """The same load, the service in a cgroup with 110 MB, page cache included."""
    return _limited(url, args, LIMIT_BYTES, PGVECTOR)


def _limited(
    url: str, args: argparse.Namespace, limit_bytes: int, settings: dict[str, str]
) -> dict[str, Any]:
    try:
        with limited_group(
            "job-recommender-million", memory_bytes=limit_bytes
        ) as group:
            drop_caches()
            with project(url, wrapper=inside(group), **settings) as server:
                closed_loop(server.port, user, clients=16, requests=USERS)
                load = closed_loop(server.port, user, clients=16, seconds=args.seconds)
                anon_mb = server.memory().anon_mb
            return load.summary() | {
                "anon_mb": anon_mb,
                "peak_charged_mb": group.peak_bytes() / 1e6,
                "oom_kills": group.oom_kills(),
            }
    except NoCgroupError as error:
        return {"not_measured": str(error)}


def row(url: str, query: str) -> tuple[Any, ...]:
    with closing(psycopg2.connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return next(iter(cursor.fetchall()))

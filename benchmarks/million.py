"""`make bench-million`: ranking inside the database, over a million jobs, beside the
stream. Writes benchmarks/million.json and benchmarks/MILLION.md.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from app.backfill.vectors import VectorFilling
from app.storage.database import Database
from benchmarks.cgroup import NoCgroupError, drop_caches, limited
from benchmarks.load import Load, closed_loop
from benchmarks.memory import LIMIT_BYTES, inside
from benchmarks.million_report import page
from benchmarks.processor import processor_s
from benchmarks.recombined import USERS, migrate, million_server, recombined_table
from benchmarks.servers import ROOT, project
from benchmarks.wire import counted

RESULTS = ROOT / "benchmarks" / "million.json"
CLIENTS = (1, 16, 64)
TOP_N = 10
STREAM_REQUESTS = 5
RECALL_USERS = 200
# A stream of a million jobs takes seconds, and many clients wait for one another.
PATIENT = {"REQUEST_TIMEOUT_S": "300"}
PGVECTOR = {"SEARCH_BACKEND": "pgvector"}


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    found = _read(args.results)
    with million_server(in_huge_pages=not args.small_pages) as server:
        for rows in args.rows:
            url = recombined_table(server, rows)
            here = found.setdefault(str(rows), {})
            for name, part in PARTS.items():
                if name in args.parts:
                    here |= {name: part(url, args)}
                    here.setdefault("load", {})[name] = os.getloadavg()[0]
                    args.results.write_text(json.dumps(found, indent=1) + "\n")
                    found = _read(args.results)
                    here = found[str(rows)]
                    args.results.with_name("MILLION.md").write_text(page(found))
                    print(rows, name, json.dumps(here[name]), flush=True)
    return 0


# --- building ------------------------------------------------------------------


def _build(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Migrate, fill, build: what is done already takes no time."""
    migrate(url, "--with", "pgvector")
    start = time.monotonic()
    with closing(Database(url, pool_size=1)) as database:
        filling = VectorFilling(
            database, version="all-MiniLM-L6-v2", stop=threading.Event()
        )
        filled = sum(filling.run())
    fill_s = time.monotonic() - start
    start = time.monotonic()
    command = [sys.executable, str(ROOT / "scripts" / "build_vector_index.py")]
    subprocess.run(
        [*command, "--memory", "3GB", *args.build],
        env=os.environ | {"DATABASE_URL": url},
        check=True,
    )
    sizes = _row(
        url,
        "SELECT pg_relation_size('skill_job1_embedding_vec_idx'),"
        " pg_table_size('skill_job1')",
    )
    return {
        "processor": _processor(),
        "filled": filled,
        "fill_s": fill_s,
        "build_s": time.monotonic() - start,
        "index_mb": sizes[0] / 1e6,
        "table_mb": sizes[1] / 1e6,
    }


def _processor() -> str:
    """As the system calls it, with the widest vectors that it computes with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    known = facts.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2") if name in known), "no AVX")
    return f"{facts.get('model name', 'unknown')}, {widest}"


# --- measuring -----------------------------------------------------------------


def user(number: int) -> dict[str, Any]:
    return {"user_id": 1 + number % USERS, "top_n": TOP_N}


def _latency(url: str, args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with project(url, **PGVECTOR) as server:
        closed_loop(server.port, user, clients=16, requests=USERS)
        for clients in CLIENTS:
            before = processor_s(server, url)
            load = closed_loop(server.port, user, clients=clients, seconds=args.seconds)
            spent = [
                1000 * (after - start) / len(load.latencies_s)
                for start, after in zip(before, processor_s(server, url), strict=True)
            ]
            found[str(clients)] = _summary(load) | {"processor_ms": spent}
        found["anon_mb"] = server.memory().anon_mb
    found["huge_pages"] = _row(url, "SHOW huge_pages_status")[0]
    return found


def _stream(url: str, args: argparse.Namespace) -> dict[str, Any]:
    with project(url, **PATIENT) as server:
        closed_loop(server.port, user, clients=1, requests=1)
        load = closed_loop(server.port, user, clients=1, requests=args.stream_requests)
        memory = server.memory()
        return _summary(load) | {
            "anon_mb": memory.anon_mb,
            "peak_rss_mb": memory.peak_rss_mb,
        }


def _recall(url: str, args: argparse.Namespace) -> dict[str, Any]:
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


def _bytes(url: str, _: argparse.Namespace) -> dict[str, Any]:
    with counted(url) as (proxied, counter), project(proxied, **PGVECTOR) as server:
        closed_loop(server.port, user, clients=1, requests=10)
        before = counter.received
        load = closed_loop(server.port, user, clients=1, requests=500)
        return {"received_bytes": (counter.received - before) / len(load.latencies_s)}


def _limited(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """The same load, the service in a cgroup with 110 MB, page cache included."""
    try:
        with limited("job-recommender-million", memory_bytes=LIMIT_BYTES) as group:
            drop_caches()
            with project(url, wrapper=inside(group), **PGVECTOR) as server:
                closed_loop(server.port, user, clients=16, requests=USERS)
                load = closed_loop(server.port, user, clients=16, seconds=args.seconds)
                anon_mb = server.memory().anon_mb
            return _summary(load) | {
                "anon_mb": anon_mb,
                "peak_charged_mb": group.peak_bytes() / 1e6,
                "oom_kills": group.oom_kills(),
            }
    except NoCgroupError as error:
        return {"not_measured": str(error)}


def _summary(load: Load) -> dict[str, Any]:
    return {
        "p50_ms": load.percentile_ms(50),
        "p95_ms": load.percentile_ms(95),
        "p99_ms": load.percentile_ms(99),
        "per_second": load.per_second,
        "requests": len(load.latencies_s),
        "statuses": load.statuses,
    }


PARTS = {
    "build": _build,
    "latency": _latency,
    "limited": _limited,
    "bytes": _bytes,
    "recall": _recall,
    "stream": _stream,
}


def _row(url: str, query: str) -> tuple[Any, ...]:
    with closing(psycopg2.connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return next(iter(cursor.fetchall()))


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 1_000_000],
        metavar="JOBS",
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--recall-users", type=int, default=RECALL_USERS)
    parser.add_argument("--stream-requests", type=int, default=STREAM_REQUESTS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--small-pages", action="store_true", help="no huge pages for Postgres"
    )
    parser.add_argument("--build", nargs="*", default=[], metavar="OPTION")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-million`: ranking inside the database, over a million jobs, beside the
stream. Writes benchmarks/million.json and benchmarks/MILLION.md.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.million_parts import (
    distant,
    latency,
    limited,
    recall,
    replica,
    row,
    stream,
    traffic,
)
from benchmarks.million_report import page
from benchmarks.recombined import NEAR_REPEATS, migrate, million_server, table
from benchmarks.servers import ROOT
from benchmarks.vector_index import build_index, fill_vectors

RESULTS = ROOT / "benchmarks" / "million.json"
STREAM_REQUESTS = 5
RECALL_USERS = 200


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    found = _read(args.results)
    with million_server(in_huge_pages=not args.small_pages) as server:
        for what in args.tables:
            url = table(server, what)
            here = found.setdefault(what, {})
            for name, part in PARTS.items():
                if name in args.parts:
                    here |= {name: part(url, args)}
                    here.setdefault("load", {})[name] = os.getloadavg()[0]
                    args.results.write_text(json.dumps(found, indent=1) + "\n")
                    found = _read(args.results)
                    here = found[what]
                    args.results.with_name("MILLION.md").write_text(page(found))
                    print(what, name, json.dumps(here[name]), flush=True)
    return 0


# --- building ------------------------------------------------------------------


def _build(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Migrate, fill, build: what is done already takes no time."""
    migrate(url, "--with", "pgvector")
    start = time.monotonic()
    filled = fill_vectors(url)
    fill_s = time.monotonic() - start
    start = time.monotonic()
    build_index(url, ["--memory", "3GB", *args.build])
    sizes = row(
        url,
        "SELECT pg_relation_size('recommender.job_vector_hnsw_idx'),"
        " pg_table_size('recommender.job_vector')",
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


PARTS = {
    "build": _build,
    "latency": latency,
    "limited": limited,
    "bytes": traffic,
    "distant": distant,
    "recall": recall,
    "stream": stream,
    "replica": replica,
}


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tables",
        nargs="+",
        default=["10000", "100000", NEAR_REPEATS, "1000000"],
        metavar="TABLE",
        help=f"how many recombined jobs, or {NEAR_REPEATS}",
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

"""The cost of EMBED_IN_SERVICE for requests: two services, one with pending rows.

`make bench-backfill`, or python -m benchmarks.backfill_service [--seconds 60]
"""

# ruff: noqa: S311  (chance and constants)

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from app.backfill import Backfill
from app.storage.connection.database import Database
from benchmarks.backfill_support import add_jobs, real_texts
from tests.support.encoders import HashEncoder
from tests.support.postgres import fresh_database, run, running_server
from tests.support.service import Service, running_service

EMBEDDED = 10_000
WAITING = 6_000
# Requests one after the other, and some a second at random moments.
RATES = {"without a pause": 0.0, "three a second": 3.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    texts = real_texts(EMBEDDED + WAITING)
    with running_server() as server, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = {}
        urls = {}
        for name in ("true", "false"):
            url = stack.enter_context(fresh_database(server))
            add_jobs(url, texts)
            # Embeddings that cost nothing to make: this is about time.
            with closing(Database(url, pool_size=1)) as database:
                backfill = Backfill(database, HashEncoder(), batch_size=500)
                list(backfill.run(limit=EMBEDDED))
            run(url, "VACUUM ANALYZE skill_job1")
            urls[name] = url
            services[name] = stack.enter_context(
                running_service(url, folder / name, EMBED_IN_SERVICE=name)
            )
        for label, rate in RATES.items():
            print(f"{label}:")
            before, start = _embedded(urls["true"]), time.monotonic()
            _measure(services, texts, rate=rate, seconds=args.seconds)
            embedded = _embedded(urls["true"]) - before
            print(f"    {embedded / (time.monotonic() - start):.1f} texts/s embedded")
        started = _embedded(urls["true"])
        time.sleep(10)
        print(
            f"without requests: {(_embedded(urls['true']) - started) / 10:.0f} texts/s"
        )


def _measure(
    services: dict[str, Service], texts: list[str], *, rate: float, seconds: float
) -> None:
    took: dict[str, list[float]] = {name: [] for name in services}
    for name, text in _turns(services, texts, time.monotonic() + seconds):
        if rate:
            time.sleep(random.expovariate(rate))
        asked = time.perf_counter()
        services[name].recommend(skills=text).raise_for_status()
        took[name].append((time.perf_counter() - asked) * 1000)
    for name, times in took.items():
        print(
            f"    EMBED_IN_SERVICE={name}: {len(times)} requests, median"
            f" {statistics.median(times):.1f} ms, mean {statistics.fmean(times):.1f}"
            f" ms, 95% {statistics.quantiles(times, n=20)[-1]:.1f} ms"
        )


def _turns(
    services: dict[str, Service], texts: list[str], end: float
) -> Iterator[tuple[str, str]]:
    """Alternating blocks of two seconds for each service."""
    while True:
        for name in services:
            block_end = time.monotonic() + 2
            while time.monotonic() < block_end:
                if time.monotonic() > end:
                    return
                yield name, random.choice(texts)


def _embedded(url: str) -> int:
    count: int = run(url, "SELECT count(embedding) FROM skill_job1")[0][0]
    return count


if __name__ == "__main__":
    main()

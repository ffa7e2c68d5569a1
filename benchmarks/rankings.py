"""The rankings side by side: time, bytes and memory of the service, one client and 64
with profiles of their own, and under the kernel's limit.

    REAL_DATA_DIR=… python -m benchmarks.rankings [--rows 10000 100000] [--seconds 10]
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import product
from typing import Any

from app.backfill import Backfill
from app.backfill.vocabulary import VocabularyKeeper
from app.backfill.watch import Work
from app.encoder.lazy import LazyEncoder
from app.ranking.registry import RANKINGS
from app.storage.connection.database import Database
from app.storage.entity import ENTITIES
from benchmarks.cgroup import NoCgroupError
from benchmarks.load import closed_loop
from benchmarks.measure import known_user
from benchmarks.memory import LIMIT_BYTES, under_limit
from benchmarks.servers import MODEL_DIR, project
from benchmarks.tables import DATA, USERS, bench_server, real_texts, table_of
from benchmarks.wire import counted

CLIENTS = 64
COUNTED = 3
# A question of many different profiles reads the ids again and again: on a busy
# machine it may take longer than a service would let it.
PATIENT = {"REQUEST_TIMEOUT_S": "120"}

HEADER = (
    "| jobs | ranking | p50, p95, ms | bytes a request | processor ms a request |"
    " RssAnon, MB | 64 profiles: p50, ms | per second | RssAnon, MB |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
LIMIT_HEADER = (
    "| jobs | ranking | limit | clients | p50, ms | per second | statuses |"
    " peak charged, MB | OOM kills | RssAnon, MB |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with bench_server() as server:
        urls = {rows: table_with_skills(server, rows) for rows in args.rows}
        print(HEADER, flush=True)
        for rows, url in urls.items():
            for ranking in RANKINGS:
                print(_row(url, rows, ranking, args.seconds), flush=True)
        print(LIMIT_HEADER, flush=True)
        try:
            for (rows, url), ranking in product(urls.items(), RANKINGS):
                if ranking != "similarity":  # benchmarks.run has that
                    for clients, limit in product((1, CLIENTS), (None, LIMIT_BYTES)):
                        seen = _limited(
                            url,
                            rows,
                            ranking,
                            limit=limit,
                            clients=clients,
                            seconds=args.seconds,
                        )
                        print(seen, flush=True)
        except NoCgroupError as error:
            print(f"SKIPPED: {error}", file=sys.stderr)
    return 0


def table_with_skills(server: Any, rows: int) -> str:
    """The usual table of benchmarks, with skill ids."""
    url = table_of(server, rows)
    with closing(Database(url, pool_size=1)) as database:
        encoder = LazyEncoder(MODEL_DIR)
        vocabulary = VocabularyKeeper(database, encoder)
        backfills = [
            Backfill(
                database, encoder, entity=entity, vocabulary=vocabulary, batch_size=500
            )
            for entity in ENTITIES
        ]
        for _ in Work(backfills, vocabulary).run():
            pass
    return url


def _settings(rows: int, ranking: str) -> dict[str, str]:
    cache = DATA / f"skills-{rows}"
    return PATIENT | {"RANK_BY": ranking, "SKILL_CACHE_DIR": str(cache)}


def _row(url: str, rows: int, ranking: str, seconds: float) -> str:
    settings = _settings(rows, ranking)
    received = _received(url, settings)
    with project(url, **settings) as server:
        closed_loop(server.port, known_user, clients=1, requests=3)
        before = server.cpu_s()
        load = closed_loop(server.port, known_user, clients=1, seconds=seconds)
        cpu_ms = (server.cpu_s() - before) / len(load.latencies_s) * 1000
        alone_mb = server.memory().anon_mb
        many = closed_loop(
            server.port, _profiles(), clients=CLIENTS, seconds=seconds, requests=1000
        )
        many_mb = server.memory().anon_mb
    return (
        f"| {rows:,} | `{ranking}` | {load.percentile_ms(50):.0f},"
        f" {load.percentile_ms(95):.0f} | {received:,.0f} | {cpu_ms:.0f} |"
        f" {alone_mb:.1f} | {many.percentile_ms(50):.0f} | {many.per_second:.1f} |"
        f" {many_mb:.1f} |"
    )


def _received(url: str, settings: Mapping[str, str]) -> float:
    with counted(url) as (proxied, counter), project(proxied, **settings) as server:
        closed_loop(server.port, known_user, clients=1, requests=2)
        before = counter.received
        closed_loop(server.port, known_user, clients=1, requests=COUNTED)
        return (counter.received - before) / COUNTED


def _profiles() -> Any:
    """Texts that are no rows of the table, of different people."""
    texts = list(dict.fromkeys(real_texts("users", 20 * USERS)))[USERS:]

    def body(number: int) -> dict[str, Any]:
        return {"skills": texts[number % len(texts)], "top_n": 10}

    return body


def _limited(
    url: str,
    rows: int,
    ranking: str,
    *,
    limit: int | None,
    clients: int,
    seconds: float,
) -> str:
    seen = under_limit(
        url,
        memory_bytes=limit,
        clients=clients,
        seconds=seconds,
        settings=_settings(rows, ranking),
    )
    name = f"{limit / 1e6:.0f} MB" if limit else "none"
    return (
        f"| {rows:,} | `{ranking}` | {name} | {clients} |"
        f" {seen.load.percentile_ms(50):.0f} | {seen.load.per_second:.1f} |"
        f" {seen.load.statuses} | {seen.peak_charged_mb:.1f} | {seen.oom_kills} |"
        f" {seen.anon_mb:.1f} |"
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

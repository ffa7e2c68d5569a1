"""Jobs on shards beside one database: equal answers, time, memory, and the plans.

python -m benchmarks.shards [--jobs 200000] [--shards 2 4]. All servers run on this
machine, so that the figures say what shards cost, not what more machines bring. Texts
are of three words out of a thousand; an embedding is the normalised sum of its words'.
"""

import argparse
import json
import os
import re
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.extensions import make_dsn, parse_dsn

from app.storage.codec import int32_to_bytes, to_bytes
from benchmarks.load import closed_loop
from benchmarks.servers import Running, project
from tests.support.postgres import run
from tests.support.shards import NAMES, Databases, Fleet, running_fleet

WORDS = 1000
USERS = 200
USERS_AT_ONCE = 50
TOP_N = 10
ROWS_AT_ONCE = 5000
RANKINGS = ("similarity", "skills", "hybrid")
ROUNDS = 5
SAMPLED_EVERY_S = 0.05
VERSION = "all-MiniLM-L6-v2"
# As benchmarks of other parts: enough memory for the tables of one server.
SETTINGS = {"fsync": "off", "shared_buffers": "256MB", "max_wal_size": "4GB"}
ROWS = (
    " FROM unnest(%s::bigint[], %s::text[], %s::bytea[], %s::bytea[])"
    " AS new (n, t, e, i), (VALUES (%s)) AS version (v)"
)
INSERTS = {
    "job": "INSERT INTO skill_job1 (job_id, skills, embedding, embedding_version)"
    f" SELECT n, t, e, v{ROWS}",
    "user": f"INSERT INTO users (user_id, skills) SELECT n, t{ROWS}",
}
STATES = {
    "job": "UPDATE recommender.job_state AS s SET state = 'embedded', skill_ids = i,"
    " text_hash = recommender.text_hash(t)",
    "user": "UPDATE recommender.user_state AS s SET state = 'embedded', skill_ids = i,"
    " text_hash = recommender.text_hash(t), embedding = e, embedding_version = v",
}
REMOTE_SQL = re.compile(r"Remote SQL: (.*)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--backend", default="stream")
    args = parser.parse_args()
    print(f"{args.jobs} jobs, {USERS} users, SEARCH_BACKEND={args.backend}")
    with ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(max(args.shards), settings=SETTINGS))
        databases = stack.enter_context(fleet.fresh())
        fill(databases.url, args.jobs)
        one = make_dsn(fleet.nodes[0].url, dbname="one_database")
        name = parse_dsn(databases.url)["dbname"]
        run(fleet.nodes[0].url, f'CREATE DATABASE one_database TEMPLATE "{name}"')
        run(databases.url, "SELECT recommender.adopt()")
        os.environ["DATABASE_URL"] = databases.url
        for count in args.shards:
            compare(fleet, databases, one, count=count, args=args)
    return 0


def fill(url: str, jobs: int) -> None:
    """Jobs and users with embeddings and skill ids, as the backfill stores them."""
    rng = np.random.default_rng(1)
    words = rng.standard_normal((WORDS, 384)).astype(np.float32)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    run(url, "SELECT recommender.use_model(%s, 384)", (VERSION,))
    run(
        url,
        "INSERT INTO recommender.skill (skill_id, skill, embedding, embedding_version)"
        " SELECT n, 'word ' || n, e, %s FROM unnest(%s::bytea[]) WITH ORDINALITY"
        " AS new (e, n)",
        (VERSION, [to_bytes(word) for word in words]),
    )
    for first in range(0, jobs, ROWS_AT_ONCE):
        picked = rng.integers(0, WORDS, (min(ROWS_AT_ONCE, jobs - first), 3))
        add(url, "job", first, picked, words)
    add(url, "user", 0, rng.integers(0, WORDS, (USERS, 3)), words)
    run(url, "VACUUM ANALYZE")


def add(
    url: str,
    entity: str,
    first: int,
    picked: NDArray[np.int64],
    words: NDArray[np.float32],
) -> None:
    sums = words[picked].sum(axis=1)
    vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    texts = [", ".join(f"word {n + 1}" for n in row) for row in picked]
    # Each skill once, in the order of the text.
    ids = [int32_to_bytes([n + 1 for n in dict.fromkeys(row)]) for row in picked]
    numbers = list(range(first + 1, first + 1 + len(texts)))
    given = [numbers, texts, [to_bytes(v) for v in vectors], ids, VERSION]
    run(url, INSERTS[entity], given)
    run(url, "SELECT recommender.admit(name, 1000000) FROM recommender.entity")
    run(url, f"{STATES[entity]}{ROWS} WHERE s.{entity}_id = n", given)


def compare(
    fleet: Fleet,
    databases: Databases,
    one: str,
    *,
    count: int,
    args: argparse.Namespace,
) -> None:
    """One layout beside one database, in turns."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        if databases.lay_out(Path(folder), NAMES[:count], partitions=16):
            raise RuntimeError("the shards were not laid out")
        settings = {
            "SEARCH_BACKEND": args.backend,
            "RATE_LIMIT_PER_MINUTE": "0",
            "REQUEST_TIMEOUT_S": "60",
        }
        services = {
            "one database": stack.enter_context(
                project(one, SKILL_CACHE_DIR=f"{folder}/a", **settings)
            ),
            f"{count} shards": stack.enter_context(
                project(databases.url, SKILL_CACHE_DIR=f"{folder}/b", **settings)
            ),
        }
        for ranking in RANKINGS:
            equal = len(equal_users(list(services.values()), ranking))
            print(f"{count} shards, {ranking}: {equal} of {USERS} users equal")
            report(services, ranking, args.seconds, fleet)
        plans(databases, count)


def equal_users(services: Sequence[Running], ranking: str) -> list[int]:
    """The users whose answers are the same to the last digit."""
    found: list[list[dict[str, Any]]] = []
    for service in services:
        url = f"http://127.0.0.1:{service.port}/api/recommend/batch"
        found.append([])
        with httpx.Client(timeout=60) as client:
            for first in range(1, USERS + 1, USERS_AT_ONCE):
                users = list(range(first, first + USERS_AT_ONCE))
                body = {"user_ids": users, "top_n": TOP_N, "rank_by": ranking}
                response = client.post(url, json=body).raise_for_status()
                found[-1] += response.json()["results"]
    return [
        user
        for user, answers in enumerate(zip(*found, strict=True), 1)
        if len(answers[0]["recommendations"]) == TOP_N
        and all(each == answers[0] for each in answers)
    ]


def report(
    services: dict[str, Running], ranking: str, seconds: float, fleet: Fleet
) -> None:
    """The median of one client, and the memory of the coordinator's sessions."""
    took: dict[str, list[float]] = {name: [] for name in services}
    peak: dict[str, float] = dict.fromkeys(services, 0.0)
    for _ in range(ROUNDS):
        for name, service in services.items():
            database = "one_database" if name == "one database" else "test_%"
            with peak_memory(fleet, database) as seen:
                load = closed_loop(
                    service.port,
                    lambda n: {"user_id": n % USERS + 1, "rank_by": ranking},
                    clients=1,
                    seconds=seconds,
                )
            if set(load.statuses) != {200}:
                raise RuntimeError(f"{name}: {load.statuses}")
            took[name].append(load.percentile_ms(50))
            peak[name] = max(peak[name], *seen)
    (base, _), (other, _) = took.items()
    ratio = statistics.median(took[other]) / statistics.median(took[base])
    for name in services:
        print(
            f"  {name}: p50 {statistics.median(took[name]):.0f} ms, session"
            f" {peak[name]:.1f} MB not reclaimable at most"
        )
    print(f"  {ratio:.2f} times the time of one database")


@contextmanager
def peak_memory(fleet: Fleet, database: str) -> Iterator[list[float]]:
    """RssAnon in MB of the service's sessions on the coordinator, sampled."""
    seen = [0.0]
    done = threading.Event()
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname LIKE %s"
        " AND application_name = 'job-recommender'"
    )

    def sample() -> None:
        connection = psycopg2.connect(fleet.nodes[0].url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not done.wait(SAMPLED_EVERY_S):
                cursor.execute(query, (database,))
                seen.extend(anonymous_mb(pid) for (pid,) in cursor.fetchall())
        connection.close()

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield seen
    finally:
        done.set()
        sampler.join()


def anonymous_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    (found,) = (line for line in lines if line.startswith("RssAnon"))
    return int(found.split()[1]) * 1024 / 1e6


def plans(databases: Databases, count: int) -> None:
    """What the coordinator sends for a look-up by id, and each shard's plan for it."""
    query = "SELECT job_id, skills FROM skill_job1 WHERE job_id = ANY ('{1,2,3,4,5}')"
    lines = run(databases.url, f"EXPLAIN (VERBOSE, FORMAT TEXT) {query}")
    sent = {found[1] for (line,) in lines if (found := REMOTE_SQL.search(line))}
    for name in NAMES[:count]:
        there = {part for (part,) in run(databases.shards[name], PARTS)}
        for statement in sorted(sent):
            if any(f"recommender_shards.{part} " in f"{statement} " for part in there):
                plan = run(databases.shards[name], f"EXPLAIN {statement}")
                print(f"  {name}: {statement}\n    {json.dumps(plan[0][0].strip())}")
                break


PARTS = "SELECT part FROM recommender_shards.health"

if __name__ == "__main__":
    os.environ.setdefault("ENV_FILE", os.devnull)
    sys.exit(main())

"""Jobs on shards beside one database: equal answers, time, memory, and the plans.

python -m benchmarks.shards [--jobs 200000] [--shards 2 4] [--backends stream replica
pgvector]. All servers run on this machine, so that the figures say what shards cost,
not what more machines bring. Embeddings are those of real postings, recombined
(benchmarks/recombined.py); skills are three words out of a thousand. pgvector is
approximate: of its answers the share is shown that an exact scan gives.
"""

import argparse
import json
import os
import re
import statistics
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.extensions import make_dsn, parse_dsn

from app.commands.migrate import migrate
from app.deadline import Deadline
from app.ranking.retrieval.search_params import NEAR
from app.storage.catalogue import Catalogue
from app.storage.codec import int32_to_bytes, to_bytes
from app.storage.connection.database import Database
from app.storage.vectors import NearestQuery, VectorQuery, nearest_query
from benchmarks.load import closed_loop
from benchmarks.recombined import ALL, embeddings_of, users_of
from benchmarks.replica import wait_until_filled
from benchmarks.servers import Running, project
from benchmarks.tables import real_texts, recombined
from benchmarks.vector_index import build_index, fill_vectors
from tests.support.postgres import run
from tests.support.shards import NAMES, Databases, Fleet, running_fleet

WORDS = 1000
USERS = 200
USERS_AT_ONCE = 50
TOP_N = 10
# The others of pgvector are those of the stream.
RANKINGS = {
    "stream": ("similarity", "skills", "hybrid"),
    "replica": ("similarity", "skills", "hybrid"),
    "pgvector": ("similarity",),
}
SAMPLED_EVERY_S = 0.05
# An answer of the service, as JSON.
Answer = dict[str, Any]
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
VECTOR = re.compile(r"\[[-\d,]{100,}\]")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--backends", nargs="+", choices=RANKINGS, default=list(RANKINGS)
    )
    parser.add_argument("--partitions", type=int, default=16)
    args = parser.parse_args()
    print(f"{args.jobs} jobs, {USERS} users, {args.partitions} partitions")
    with ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(max(args.shards), settings=SETTINGS))
        databases = stack.enter_context(fleet.fresh())
        fill(databases.url, args.jobs)
        if "pgvector" in args.backends:
            list(migrate(databases.url, extras=["pgvector"]))
            fill_vectors(databases.url)
            build_index(databases.url)
            run(databases.url, "VACUUM ANALYZE")
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
    texts = real_texts("jobs", ALL)
    for ids, _, vectors in recombined(
        jobs, texts, embeddings_of("jobs", texts), lambda *_: ""
    ):
        add(url, "job", ids, rng.integers(0, WORDS, (len(ids), 3)), vectors)
    users = list(range(1, USERS + 1))
    add(url, "user", users, rng.integers(0, WORDS, (USERS, 3)), users_of(USERS))
    run(url, "VACUUM ANALYZE")


def add(
    url: str,
    entity: str,
    ids: list[int],
    picked: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> None:
    texts = [", ".join(f"word {n + 1}" for n in row) for row in picked]
    # Each skill once, in the order of the text.
    skills = [int32_to_bytes([n + 1 for n in dict.fromkeys(row)]) for row in picked]
    given = [ids, texts, [to_bytes(v) for v in vectors], skills, VERSION]
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
    """One layout beside one database, by each backend, in turns."""
    with TemporaryDirectory() as folder:
        names, parts = NAMES[:count], args.partitions
        if databases.lay_out(Path(folder), names, partitions=parts):
            raise RuntimeError("the shards were not laid out")
        urls = {"one database": one, f"{count} shards": databases.url}
        if "pgvector" in args.backends:
            build_index(databases.url)
        for backend in args.backends:
            with services_over(urls, folder, backend) as services:
                for ranking in RANKINGS[backend]:
                    print(f"{count} shards, {backend}, {ranking}:", flush=True)
                    show_equal(services, ranking, is_exact=backend != "pgvector")
                    report(services, ranking, fleet, args)
            if backend == "pgvector":
                show_plans(databases, count, near_statement(databases.url))
    by_id = "SELECT job_id, skills FROM skill_job1 WHERE job_id = ANY ('{1,2,3,4,5}')"
    show_plans(databases, count, by_id)


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
    fleet: Fleet,
    args: argparse.Namespace,
) -> None:
    """The median of one client, and the memory of the coordinator's sessions."""
    took: dict[str, list[float]] = {name: [] for name in services}
    peak: dict[str, float] = dict.fromkeys(services, 0.0)
    for _ in range(args.rounds):
        for name, service in services.items():
            database = "one_database" if name == "one database" else "test_%"
            with peak_memory(fleet, database) as seen:
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
    (base, _), (other, _) = took.items()
    ratio = statistics.median(took[other]) / statistics.median(took[base])
    for name in services:
        print(
            f"  {name}: p50 {statistics.median(took[name]):.1f} ms, session"
            f" {peak[name]:.1f} MB not reclaimable at most"
        )
    print(f"  {ratio:.2f} times the time of one database", flush=True)


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
    # A process that has ended keeps its place for a moment, without memory.
    found = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0


def near_statement(url: str) -> str:
    """The search of pgvector for one user, as the service sends it."""
    with closing(Database(url, pool_size=1)) as database:
        with database.snapshot(Deadline.after(60)) as transaction:
            rows = VectorQuery.of(Catalogue.read(transaction), VERSION)
        unit = users_of(1)[0].astype(np.float64)
        near = NearestQuery(unit, wanted=TOP_N, size=TOP_N + 20, margin=NEAR.margin)
        with closing(psycopg2.connect(url)) as connection:
            query = nearest_query(rows, [near], hnsw=NEAR.hnsw)
            return str(query.as_string(connection))


def show_plans(databases: Databases, count: int, query: str) -> None:
    """What the coordinator sends to each shard, and the shard's plan for it."""
    lines = run(databases.url, f"EXPLAIN (VERBOSE, FORMAT TEXT) {query}")
    sent = {found[1] for (line,) in lines if (found := REMOTE_SQL.search(line))}
    vector = f"'{users_of(1)[0].tolist()}'"
    for name in NAMES[:count]:
        there = {part for (part,) in run(databases.shards[name], PARTS)}
        there |= {part.replace("jobs_", "vectors_") for part in there}
        for statement in sorted(sent, reverse=True):
            if any(f"recommender_shards.{part} " in f"{statement} " for part in there):
                filled = statement.replace("$1::public.halfvec", vector)
                filled = filled.replace("$1::bigint[]", "'{1,2,3}'::bigint[]")
                plan = run(databases.shards[name], f"EXPLAIN {filled}")
                used = [line.strip() for (line,) in plan if "Index" in line]
                short = VECTOR.sub("[…]", statement)
                print(f"  {name}: {short}\n    {json.dumps(used[:1])}", flush=True)
                break


PARTS = "SELECT part FROM recommender_shards.health"

if __name__ == "__main__":
    os.environ.setdefault("ENV_FILE", os.devnull)
    sys.exit(main())

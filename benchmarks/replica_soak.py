"""`python -m benchmarks.replica_soak`: writers beside the replica, each answer checked.

Readers compare the replica with the stream in one snapshot: the best jobs, how many
were compared, and the skill ids. `benchmarks.replica_kill` kills the service instead.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from psycopg2.sql import SQL, Identifier

from app.batching.batcher import BatchScope
from app.deadline import Deadline
from app.errors import AppError
from app.query.query import BatchKey, Query
from app.ranking.retrieval.base import SearchRequest
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.replica.replica import Replica
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.copy.reader import read_copy
from app.storage.copy.skill_ids import SkillIdChunk, skill_reader
from app.storage.skills import stream_skill_ids
from benchmarks.tables import bench_server, migrate_table

VERSION = "all-MiniLM-L6-v2"
DIMENSION = 384
JOBS = 4_000
SCOPE = BatchScope(deadline=Deadline.after(1e6), abandoned=lambda: False)
STREAM = FullScan(version=VERSION, scan_chunk_rows=1000)
QUERIES = [Query(BatchKey("similarity"), top_k, text="") for top_k in (11, 100)]
# The statements, and how often each is chosen.
CHANGES: Mapping[str, tuple[int, str]] = {
    "insert": (30, """INSERT INTO skill_job1 (skills, embedding, embedding_version)
        SELECT 'new', %(vector)s, 'all-MiniLM-L6-v2' FROM generate_series(1, 20)"""),
    "edit": (20, """UPDATE skill_job1 SET skills = skills || '.'
        WHERE job_id IN ({some})"""),
    "embed": (30, """UPDATE skill_job1 SET embedding = %(vector)s
        WHERE job_id IN ({some})"""),
    "skills": (20, """UPDATE recommender.job_state
        SET skill_ids = %(skills)s, changed = pg_current_xact_id()
        WHERE job_id IN ({some}) AND state = 'embedded'"""),
    "delete": (20, "DELETE FROM skill_job1 WHERE job_id IN ({some})"),
    "roll back": (1, "BEGIN; UPDATE skill_job1 SET embedding = NULL; ROLLBACK"),
    "backfill": (1, """UPDATE skill_job1 SET embedding = %(vector)s
        WHERE embedding IS NULL"""),
    "rewrite": (1, """UPDATE skill_job1 SET embedding = %(vector)s
        WHERE job_id %% 2 = 0"""),
    "truncate": (1, "TRUNCATE skill_job1"),
}  # fmt: skip
NO_PAUSE = nullcontext()
SOME = "SELECT job_id FROM skill_job1 WHERE random() < 0.003"


@dataclass
class Seen:
    """Counts of the changes made and of the answers compared."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, *, wrong: str = "") -> None:
        with self.lock:
            self.counts[what] += 1
            if wrong:
                self.wrong.append(wrong)

    def report(self, title: str) -> int:
        """Print what was seen. Returns the exit status."""
        counts = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        print(f"{title}: {counts}; {len(self.wrong)} wrong")
        for sentence in self.wrong[:10]:
            print(sentence)
        return 1 if self.wrong else 0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    seen = Seen()
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        _soak(empty_table(server, "replica_soak"), Path(folder), seen, args)
    return seen.report(f"{args.minutes:g} minutes, {args.readers} readers")


def empty_table(server: Any, name: str) -> str:
    """The connection string of a new database of this name, migrated."""
    with closing(psycopg2.connect(server.get_uri("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url: str = server.get_uri(name)
    migrate_table(url)
    return url


def _soak(url: str, folder: Path, seen: Seen, args: argparse.Namespace) -> None:
    stop = threading.Event()
    with closing(Database(url, pool_size=args.readers + 2)) as database:
        replica = Replica(database, folder, version=VERSION, scan_chunk_rows=1000)
        replica.start()
        threads = [
            threading.Thread(target=write, args=(url, seed, stop, seen))
            for seed in range(2)
        ]
        threads += [
            threading.Thread(target=_read, args=(database, replica, seed, stop, seen))
            for seed in range(args.readers)
        ]
        for thread in threads:
            thread.start()
        time.sleep(args.minutes * 60)
        stop.set()
        for thread in threads:
            thread.join()
        replica.close()


def write(
    url: str,
    seed: int,
    stop: threading.Event,
    seen: Seen,
    pause: AbstractContextManager[object] = NO_PAUSE,
) -> None:
    """Change jobs at random until `stop`; holds `pause` for each statement."""
    vectors = np.random.default_rng(seed)
    shares = np.array([share for share, _ in CHANGES.values()])
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while not stop.is_set():
            name = str(vectors.choice(list(CHANGES), p=shares / shares.sum()))
            with pause:
                seen.add(_change(cursor, name, vectors))
            stop.wait(vectors.uniform(0, 0.1))


def _change(cursor: Any, name: str, vectors: np.random.Generator) -> str:
    cursor.execute("SELECT count(*) FROM skill_job1")
    (row,) = cursor.fetchall()
    if row[0] < JOBS // 2:
        _refill(cursor, vectors)
    skills = vectors.integers(1, 500, 4).astype("<i4").tobytes()
    try:
        cursor.execute(
            CHANGES[name][1].replace("{some}", SOME),
            {"vector": _vector(vectors), "skills": skills},
        )
    except psycopg2.errors.DeadlockDetected:
        return "deadlock of the writers"
    return name


def _refill(cursor: Any, vectors: np.random.Generator) -> None:
    cursor.execute(
        "INSERT INTO skill_job1 (skills, embedding, embedding_version)"
        " SELECT 'text', v, 'all-MiniLM-L6-v2' FROM unnest(%s::bytea[]) AS v",
        ([_vector(vectors) for _ in range(JOBS)],),
    )


def _vector(vectors: np.random.Generator) -> bytes:
    return vectors.standard_normal(DIMENSION).astype("<f4").tobytes()


def _read(
    database: Database, replica: Replica, seed: int, stop: threading.Event, seen: Seen
) -> None:
    vectors = np.random.default_rng(1000 + seed)
    while not stop.is_set():
        try:
            _compare(database, replica, vectors, seen)
        except AppError as error:
            seen.add(f"answers with {type(error).__name__}")


def _compare(
    database: Database, replica: Replica, vectors: np.random.Generator, seen: Seen
) -> None:
    asked = vectors.standard_normal((len(QUERIES), DIMENSION)).astype(np.float32)
    with database.snapshot(Deadline.after(60)) as transaction:
        # A snapshot from before a TRUNCATE sees an empty table after it: the stream
        # finds nothing then, and the replica what the snapshot should see.
        transaction.execute(SQL("LOCK TABLE skill_job1 IN ACCESS SHARE MODE"))
        catalogue = Catalogue.read(transaction)
        key = QUERIES[0].key
        request = SearchRequest(key, QUERIES, asked)
        entries = replica.entries(transaction, catalogue, key, SCOPE)
        found = replica.search(transaction, catalogue, request, SCOPE)
        expected = STREAM.search(transaction, catalogue, request, SCOPE)
        name = "answers of the stream" if entries is None else "answers of the replica"
        is_right = (found.ranked, found.analyzed) == (
            expected.ranked,
            expected.analyzed,
        )
        if entries is not None:
            mine: Counter[bytes] = Counter()
            theirs: Counter[bytes] = Counter()
            entries.feed(partial(_note, mine), has_embeddings=False)
            reader = skill_reader("integer", partial(_note, theirs))
            read_copy(
                partial(stream_skill_ids, transaction, table=catalogue.jobs),
                reader,
                buffer_bytes=1 << 16,
            )
            is_right = is_right and mine == theirs
    seen.add(name, wrong="" if is_right else f"{name} differ")


def _note(rows: Counter[bytes], chunk: SkillIdChunk) -> None:
    lists = np.split(chunk.skill_ids, chunk.starts[1:])
    for id_, own in zip(chunk.ids, lists, strict=True):
        rows[id_.tobytes() + own.tobytes()] += 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--readers", type=int, default=8)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m benchmarks.replica_soak`: writers beside the replica, each answer checked.

Readers compare the replica with the stream in one snapshot: the best jobs, how many
were compared, and the skill ids. Then a process that keeps the files is killed again
and again, and what a new one makes of them is compared likewise.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
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


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    if args.keep:
        _keep(args.keep[0], Path(args.keep[1]))
        return 0
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        url = _table(server)
        seen = Seen()
        _soak(url, Path(folder) / "soak", seen, args)
        print(f"{args.minutes:g} minutes, {args.readers} readers: {_listed(seen)}")
        wrong = list(seen.wrong)
        seen = Seen()
        _kill(url, Path(folder) / "kill", seen, args.kills)
        print(f"{args.kills} kills: {_listed(seen)}")
    for sentence in [*wrong, *seen.wrong][:10]:
        print(sentence)
    return 1 if wrong or seen.wrong else 0


def _listed(seen: Seen) -> str:
    counts = ", ".join(f"{count} {what}" for what, count in sorted(seen.counts.items()))
    return f"{counts}; {len(seen.wrong)} wrong"


def _table(server: Any) -> str:
    name = "replica_soak"
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
            threading.Thread(target=_write, args=(url, seed, stop, seen))
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


def _write(url: str, seed: int, stop: threading.Event, seen: Seen) -> None:
    vectors = np.random.default_rng(seed)
    shares = np.array([share for share, _ in CHANGES.values()])
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while not stop.is_set():
            cursor.execute("SELECT count(*) FROM skill_job1")
            (row,) = cursor.fetchall()
            if row[0] < JOBS // 2:
                _refill(cursor, vectors)
            name = str(vectors.choice(list(CHANGES), p=shares / shares.sum()))
            skills = vectors.integers(1, 500, 4).astype("<i4").tobytes()
            try:
                cursor.execute(
                    CHANGES[name][1].replace("{some}", SOME),
                    {"vector": _vector(vectors), "skills": skills},
                )
            except psycopg2.errors.DeadlockDetected:
                name = "deadlock of the writers"
            seen.add(name)
            stop.wait(vectors.uniform(0, 0.1))


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


def _kill(url: str, folder: Path, seen: Seen, kills: int) -> None:
    """Kill the keeper's process at random instants while jobs change."""
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(url, 7, stop, seen))
    writer.start()
    instants = np.random.default_rng(5)
    with closing(Database(url, pool_size=2)) as database:
        for number in range(kills):
            command = [sys.executable, "-m", "benchmarks.replica_soak", "--keep"]
            process = subprocess.Popen([*command, url, str(folder)])
            _wait_until_kept(folder, process)
            time.sleep(instants.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
            replica = Replica(database, folder, version=VERSION, scan_chunk_rows=1000)
            replica.keeper.run_once()
            for _ in range(3):
                _compare(database, replica, np.random.default_rng(number), seen)
            replica.close()
    stop.set()
    writer.join()


def _wait_until_kept(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until the process has the files in its hands."""
    started = folder / "started"
    started.unlink(missing_ok=True)
    while not started.exists() and process.poll() is None:
        time.sleep(0.01)


def _keep(url: str, folder: Path) -> None:
    """Keep the files, pass after pass, until killed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "started").write_text(str(os.getpid()))
    with closing(Database(url, pool_size=2)) as database:
        replica = Replica(database, folder, version=VERSION, scan_chunk_rows=1000)
        while True:
            replica.keeper.run_once()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--keep", nargs=2, metavar=("URL", "FOLDER"), help="internal")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m benchmarks.cluster`: the batch jobs by one process and by Dask workers.

Each runs three times: in one process, with two workers, and with two workers of
which one is killed when a third is done. Needs REAL_DATA_DIR for the texts.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.storage.codec import from_bytes
from benchmarks.backfill_support import add_jobs, peak_rss_mb, real_texts
from benchmarks.servers import MODEL_DIR, ROOT
from tests.support.bulk import fill_jobs, fill_users
from tests.support.dask import Process, dask_scheduler, dask_worker
from tests.support.postgres import Server, fresh_database, run, running_server
from tests.support.skills import skills_of

WORKERS = 2
POLL_S = 0.1
HEAD = "| work | by | s | a second | beside one process | peak RSS of a worker, MB |"
WAYS = ("one process", "two workers", "two workers, one killed")


@dataclass(frozen=True)
class Work:
    """A script with its options, and how far it is: a number from 0 to 1."""

    script: str
    options: Sequence[str]
    done: Callable[[], float]


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    print(f"{HEAD}\n{'| --- ' * 6}|", flush=True)
    with running_server() as server:
        if args.users:
            with fresh_database(server) as url:
                _recommend(url, args.users, args.jobs)
        if args.texts:
            _embed(server, args.texts)
    return 0


def _recommend(url: str, users: int, jobs: int) -> None:
    fill_jobs(url, jobs)
    fill_users(url, users)
    run(url, "VACUUM ANALYZE")
    what, digests = f"{users:,} users, {jobs:,} jobs", []
    with tempfile.TemporaryDirectory() as folder:
        for number, way in enumerate(WAYS):
            file = Path(folder) / f"{number}.csv"
            done = partial(_share_of_lines, file, 10 * users)
            work = Work("recommend_all.py", ("--csv", str(file)), done)
            _time(url, way, work, what, users)
            digests.append(hashlib.sha256(file.read_bytes()).hexdigest())
    print(f"The files are equal: {len(set(digests)) == 1}.", flush=True)


def _embed(server: Server, texts: int) -> None:
    results = []
    for way in WAYS:
        # A new one each time: skills are embedded as well, and only once.
        with fresh_database(server) as url:
            add_jobs(url, real_texts(texts))
            done = partial(_share_of_jobs, url)
            work = Work("generate_embeddings.py", ("--what=jobs",), done)
            _time(url, way, work, f"{texts:,} texts", texts)
            results.append((_embeddings(url), skills_of(url)))
    first, skills = results[0]
    worst = max(float(np.abs(vectors - first).max()) for vectors, _ in results)
    equal = all(found == skills for _, found in results)
    print(f"The largest difference of a number of an embedding: {worst:.1e}.")
    print(f"The skills are equal: {equal}.", flush=True)


_one_process: dict[str, float] = {}


def _time(url: str, way: str, work: Work, what: str, count: int) -> None:
    environment = os.environ | {"DATABASE_URL": url, "MODEL_DIR": str(MODEL_DIR)}
    # Each command's own default: for `embed`, a thread for each processor.
    environment.pop("OPENBLAS_NUM_THREADS", None)
    with _cluster(url, way) as (options, workers):
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, f"{ROOT}/scripts/{work.script}", *work.options, *options],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        if way == WAYS[2]:
            _kill_one(workers, work, process)
        if process.wait() != 0:
            raise RuntimeError(f"{work.script} ended with {process.returncode}")
        seconds = time.monotonic() - start
        peak = max((peak_rss_mb(worker) for worker in workers), default=0.0)
    one = _one_process.setdefault(work.script, seconds)
    print(
        f"| {what} | {way} | {seconds:.0f} | {count / seconds:.0f}"
        f" | {one / seconds:.2f} | {f'{peak:.0f}' if peak else ''} |",
        flush=True,
    )


@contextmanager
def _cluster(url: str, way: str) -> Iterator[tuple[Sequence[str], Sequence[Process]]]:
    if way == WAYS[0]:
        yield (), ()
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(dask_scheduler(folder))
        workers = [
            stack.enter_context(
                dask_worker(address, folder / str(number), DATABASE_URL=url)
            )
            for number in range(WORKERS)
        ]
        yield ("--scheduler", address), workers


def _kill_one(
    workers: Sequence[Process], work: Work, process: "subprocess.Popen[bytes]"
) -> None:
    while work.done() < 1 / 3:
        if process.poll() is not None:
            raise RuntimeError("it was faster than the kill")
        time.sleep(POLL_S)
    workers[0].send_signal(signal.SIGKILL)


def _share_of_lines(file: Path, lines: int) -> float:
    return file.read_bytes().count(b"\n") / lines if file.exists() else 0.0


def _share_of_jobs(url: str) -> float:
    query = "SELECT count(embedding)::float8 / count(*) FROM skill_job1"
    return float(run(url, query)[0][0])


def _embeddings(url: str) -> NDArray[np.float32]:
    rows = run(url, "SELECT embedding FROM skill_job1 ORDER BY job_id")
    return np.array([from_bytes(bytes(data)) for (data,) in rows])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000, help="0: do not recommend")
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--texts", type=int, default=20_000, help="0: do not embed")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())

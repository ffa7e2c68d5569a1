"""SIGKILL at random moments, while editors edit: nothing lost, torn or of an old text.

`make bench-backfill`, or python -m benchmarks.backfill_kill [--rounds 30] [--rows 400]
"""

# ruff: noqa: S311  (chance, no secrets)

import argparse
import random
import subprocess
import threading
import time

from benchmarks.backfill_support import (
    Oracle,
    add_jobs,
    embedded_rows,
    real_texts,
    start_worker,
    wait,
)
from tests.support.postgres import fresh_database, run, running_server

LEASE_S = "--lease-s=1"
# A worker is up after a second or two on a busy machine; then it works for some more.
KILLED_WITHIN_S = 2.0
# As if nothing had been stored lately: a row that is reset too often is left alone.
PENDING = (
    "UPDATE skill_job1 SET embedding = NULL; UPDATE recommender.job_state SET tries = 0"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--rows", type=int, default=400)
    args = parser.parse_args()
    texts = list(dict.fromkeys(real_texts(2 * args.rows)))
    oracle = Oracle(texts)
    with running_server() as server, fresh_database(server) as url:
        add_jobs(url, texts[: args.rows])
        wrong = midway = edits = 0
        for _ in range(args.rounds):
            edits += _kill_two(url, texts)
            rows = embedded_rows(url)
            midway += 0 < len(rows) < args.rows
            wrong += oracle.wrong(rows)
            wait(start_worker(url, LEASE_S, threads=1))
            rows = embedded_rows(url)
            wrong += oracle.wrong(rows)
            lost = args.rows - len(rows)
            if lost:
                raise RuntimeError(f"{lost} rows were lost")
            run(url, PENDING)
        print(
            f"{args.rounds} rounds of two workers killed, {midway} of them with part of"
            f" the rows done, {edits} edits meanwhile: 0 rows lost, {wrong} wrong"
        )


def _kill_two(url: str, texts: list[str]) -> int:
    """Kill two workers and an editor at a random time. Returns the edits."""
    workers = [start_worker(url, LEASE_S, "--batch-size=8", threads=1) for _ in "12"]
    while not run(url, "SELECT 1 FROM recommender.claim") and not _ended(workers):
        time.sleep(0.01)
    over = threading.Event()
    edits: list[int] = []
    editor = threading.Thread(target=_edit, args=(url, texts, over, edits))
    editor.start()
    for worker in workers:
        time.sleep(random.uniform(0, KILLED_WITHIN_S / 2))
        worker.kill()
    wait(*workers)
    over.set()
    editor.join()
    return len(edits)


def _ended(workers: "list[subprocess.Popen[str]]") -> bool:
    return all(worker.poll() is not None for worker in workers)


def _edit(url: str, texts: list[str], over: threading.Event, edits: list[int]) -> None:
    while not over.wait(0.02):
        text = random.choice(texts)
        run(
            url,
            "UPDATE skill_job1 SET skills = %s WHERE job_id ="
            " (SELECT job_id FROM skill_job1 ORDER BY random() LIMIT 1)",
            (text,),
        )
        edits.append(1)


if __name__ == "__main__":
    main()

"""Texts per second of both encoders, and of two workers, with their peak RSS.

`make bench-backfill`, or python -m benchmarks.backfill_throughput [--rows 2000]
"""

import argparse
import time

from benchmarks.backfill_support import add_jobs, real_texts, start_worker, wait
from tests.support.postgres import fresh_database, run, running_server

RUNS = {
    "numpy, one worker": (1, ("--encoder=numpy",), 2),
    "numpy, two workers of one thread": (2, ("--encoder=numpy",), 1),
    "sentence-transformers, one worker": (1, ("--encoder=sentence-transformers",), 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    args = parser.parse_args()
    with running_server() as server, fresh_database(server) as url:
        add_jobs(url, real_texts(args.rows))
        for name, (workers, arguments, threads) in RUNS.items():
            run(url, "UPDATE skill_job1 SET embedding = NULL")
            run(url, "UPDATE recommender.job_state SET skill_ids = NULL, tries = 0")
            start = time.monotonic()
            started = [
                start_worker(url, *arguments, threads=threads) for _ in range(workers)
            ]
            ended = wait(*started)
            rate = args.rows / (time.monotonic() - start)
            peak = max(worker.peak_mb for worker in ended)
            said = "; ".join(worker.said.splitlines()[-2] for worker in ended)
            print(f"{name}: {rate:.0f} a second with start-up, peak RSS {peak:.0f} MB")
            print(f"    {said}")


if __name__ == "__main__":
    main()

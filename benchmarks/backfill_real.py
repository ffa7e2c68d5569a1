"""All real postings by two workers, one of them killed and restarted.

`make bench-backfill`, or python -m benchmarks.backfill_real [--rows 50000]
"""

import argparse
import random
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

POLL_S = 0.5


def embedded(url: str) -> int:
    count: int = run(url, "SELECT count(embedding) FROM skill_job1")[0][0]
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--check", type=int, default=5_000)
    args = parser.parse_args()
    texts = real_texts(args.rows)
    with running_server() as server, fresh_database(server) as url:
        add_jobs(url, texts)
        start = time.monotonic()
        # Two workers share two cores: one thread each.
        survivor, victim = (start_worker(url, threads=1) for _ in range(2))
        kill_at = len(texts) // 3
        while embedded(url) < kill_at:
            time.sleep(POLL_S)
        victim.kill()
        wait(victim)
        claimed = run(url, "SELECT count(*) FROM recommender.claim")[0][0]
        print(f"killed one of two workers at {embedded(url)} rows, {claimed} claims")
        ended = wait(survivor, start_worker(url, threads=1))
        seconds = time.monotonic() - start
        for worker in ended:
            print(f"peak RSS {worker.peak_mb:.0f} MB:", worker.said.splitlines()[-2:])
        print(f"{len(texts)} rows in {seconds:.0f} s: {len(texts) / seconds:.1f} a s")
        print(run(url, "SELECT count(*), count(embedding) FROM skill_job1"))
        check(url, args.check)


def check(url: str, count: int) -> None:
    ids = [n for (n,) in run(url, "SELECT job_id FROM skill_job1")]
    sample = ",".join(map(str, random.sample(ids, min(count, len(ids)))))
    rows = embedded_rows(url, f"job_id IN ({sample})")
    wrong = Oracle([text for text, _ in rows]).wrong(rows)
    print(f"{len(rows)} checked with sentence-transformers: {wrong} wrong")


if __name__ == "__main__":
    main()

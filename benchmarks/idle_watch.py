"""`python -m benchmarks.idle_watch`: what an idle worker reads.

`generate_embeddings.py --watch` waits over 100,000 finished jobs and a million users
without skills. Postgres counts the blocks that its connections touch in a minute.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.replica_soak import empty_table
from benchmarks.servers import MODEL_DIR, ROOT
from benchmarks.tables import bench_server
from tests.support.postgres import run

JOBS, USERS = 100_000, 1_000_000
EMBED = [sys.executable, str(ROOT / "scripts" / "generate_embeddings.py")]
SETTLES_IN_S = 10.0
# Those of the worker: there is nobody else.
OTHERS = """SELECT pid FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
TOUCHED = """SELECT sum(io.hits)::bigint, sum(coalesce(io.reads, 0))::bigint,
        sum(coalesce(io.writes, 0))::bigint
    FROM unnest(%s::int[]) AS pid, pg_stat_get_backend_io(pid) AS io"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args(argv)
    with bench_server() as server:
        url = empty_table(server, "idle_watch")
        _fill(url)
        environment = os.environ | {"DATABASE_URL": url, "MODEL_DIR": str(MODEL_DIR)}
        subprocess.run(EMBED, env=environment, check=True)
        run(url, "VACUUM ANALYZE")
        worker = subprocess.Popen([*EMBED, "--watch"], env=environment)
        try:
            time.sleep(SETTLES_IN_S)
            print(_touched(url, args.seconds))
        finally:
            worker.terminate()
            worker.wait(60)
    return 0


def _fill(url: str) -> None:
    """Jobs with embeddings, whose skills are still to be found; users without text."""
    run(
        url,
        "INSERT INTO skill_job1 (skills, embedding, embedding_version)"
        " SELECT 'python, sql, task ' || n %% 50,"
        "  decode(repeat(md5(n::text), 96), 'hex'), 'all-MiniLM-L6-v2'"
        " FROM generate_series(1, %s) AS n",
        (JOBS,),
    )
    run(
        url,
        "INSERT INTO users (skills) SELECT CASE WHEN n %% 2 = 0 THEN ' ' END"
        " FROM generate_series(1, %s) AS n",
        (USERS,),
    )


def _touched(url: str, seconds: float) -> str:
    pids = [pid for (pid,) in run(url, OTHERS)]
    before = run(url, TOUCHED, (pids,))[0]
    time.sleep(seconds)
    after = run(url, TOUCHED, (pids,))[0]
    hits, reads, writes = (b - a for a, b in zip(before, after, strict=True))
    return (
        f"{len(pids)} connections in {seconds:g} s: {hits:,} buffers found in memory,"
        f" {reads:,} read, {writes:,} written"
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""What an index of vectors finds and costs, by its parameters and `ef_search`.

`python -m benchmarks.hnsw --rows 100000 --builds 16,128 16,256` builds the index of
skill_job1 anew for each pair of m and ef_construction; without `--builds` the index
that `python -m benchmarks.million --parts build` made is measured as it is. A line for
each `ef_search`: recall beside float32, time, and pages of 8 KB.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import psycopg2
from numpy.typing import NDArray
from psycopg2.sql import SQL, Composable, Literal

from app.ranking.retrieval.search_params import NEAR
from benchmarks.nearest import THROUGH_INDEX, halfvec, last_of_best, measured
from benchmarks.recombined import million_server, recombined_table, users_of
from benchmarks.servers import ROOT

LOOK = SQL(
    "SELECT embedding FROM recommender.job_vector AS v JOIN skill_job1 USING (job_id)"
    " WHERE vector IS NOT NULL ORDER BY vector <#> {query} LIMIT {limit}"
)
INDEX = "job_vector_hnsw_idx"


def main(argv: Sequence[str] | None = None) -> int:
    args = _parse(argv)
    with million_server() as server:
        url = recombined_table(server, args.rows)
        users = users_of(args.users)
        with closing(psycopg2.connect(url)) as connection:
            floor = last_of_best(connection, users, args.top_n)
        for build in args.builds or [None]:
            if build:
                _build(url, *build.split(","))
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                connection.cursor().execute(THROUGH_INDEX)
                looks = [look(user, args.top_n) for user in users]
                for ef_search in args.ef_search:
                    line = measured(
                        connection, looks, floor, ef_search=ef_search, index=INDEX,
                        users=users, top_n=args.top_n,
                    )  # fmt: skip
                    print(build or "as it is", line, flush=True)
    return 0


def _build(url: str, m: str, ef_construction: str) -> None:
    script = str(ROOT / "scripts" / "build_vector_index.py")
    options = ["--rebuild", "--memory", "3GB", "--m", m]
    start = time.monotonic()
    subprocess.run(
        [sys.executable, script, *options, "--ef-construction", ef_construction],
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    print(f"m {m}, ef_construction {ef_construction}: {time.monotonic() - start:.0f} s")


def look(user: NDArray[np.float32], top_n: int) -> Composable:
    """The first look of the service, for one user."""
    return LOOK.format(
        query=halfvec(user),
        # One more than is shown tells whether there is a next page.
        limit=Literal(top_n + 1 + NEAR.oversampling),
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, metavar="JOBS")
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("--builds", nargs="*", default=[], metavar="M,EF_CONSTRUCTION")
    parser.add_argument(
        "--ef-search", type=int, nargs="+", default=[40, 60, 80, 100, 120]
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

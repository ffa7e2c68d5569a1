"""Users per second of `recommend_all.py`, against calling the API once per user.

`make bench-recommend-all`; ARGS="--jobs 10000 --users 1000" are the defaults.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from job_recommendations import Client

from benchmarks.load import closed_loop
from benchmarks.servers import MODEL_DIR, ROOT, Running, project
from tests.support.bulk import fill_jobs, fill_users
from tests.support.postgres import fresh_database, run, running_server

TOP_N = 10
Answers = dict[int, list[tuple[int, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=1_000)
    args = parser.parse_args()
    with running_server() as server, fresh_database(server) as url:
        _fill(url, args.jobs, args.users)
        print(f"{args.jobs} jobs, {args.users} users with embeddings, top {TOP_N}")
        with project(url, RATE_LIMIT_PER_MINUTE="0") as service:
            one, answers = _by_the_api(service, args.users, clients=1)
            _say("the API once per user, 1 client", one)
            many, _ = _by_the_api(service, args.users, clients=64)
            _say("the API once per user, 64 clients", many)
            _say("the API in batches of 64 users, 1 client", _batches(service, args))
        for target in ("--csv", "--to-table"):
            rate, inner, found = _by_the_script(url, target, args.users)
            _say(f"recommend_all.py {target}, start-up included", rate)
            print(f"    it says: {inner}")
            print(f"    {rate / one:.0f} times the API with 1 client,"
                  f" {rate / many:.1f} times with 64")  # fmt: skip
            if found is not None:
                differing = sum(found[user] != answers[user] for user in answers)
                print(f"    users whose answers differ from the API's: {differing}")


def _say(what: str, rate: float) -> None:
    print(f"{what}: {rate:.1f} users per second", flush=True)


def _fill(url: str, jobs: int, users: int) -> None:
    fill_jobs(url, jobs)
    fill_users(url, users)
    run(url, "VACUUM ANALYZE")


def _by_the_api(service: Running, users: int, *, clients: int) -> tuple[float, Answers]:
    answers: Answers = {}

    def note(asked: dict[str, Any], answer: dict[str, Any]) -> None:
        answers[asked["user_id"]] = [
            (job["job_id"], job["similarity_score"])
            for job in answer["recommendations"]
        ]

    load = closed_loop(
        service.port,
        lambda number: {"user_id": 1 + number % users, "top_n": TOP_N},
        clients=clients,
        requests=users,
        seconds=600,
        check=note,
    )
    return load.all_answered().per_second, answers


def _batches(service: Running, args: argparse.Namespace) -> float:
    client = Client(f"http://127.0.0.1:{service.port}")
    start = time.monotonic()
    for first in range(1, args.users + 1, 64):
        ids = list(range(first, min(first + 64, args.users + 1)))
        client.recommend_batch(ids, top_n=TOP_N)
    client.close()
    return float(args.users / (time.monotonic() - start))


def _by_the_script(
    url: str, target: str, users: int
) -> tuple[float, str, Answers | None]:
    """Users per second, what it printed, and what it wrote into a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "out.csv"
        into = [target, str(file)] if target == "--csv" else [target]
        script = str(ROOT / "scripts" / "recommend_all.py")
        start = time.monotonic()
        said = subprocess.run(
            [sys.executable, script, *into, "--top-n", str(TOP_N)],
            env=os.environ | {"DATABASE_URL": url, "MODEL_DIR": str(MODEL_DIR)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rate = users / (time.monotonic() - start)
        return rate, said.splitlines()[-1], _read(file) if file.exists() else None


def _read(file: Path) -> Answers:
    answers: Answers = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            pair = (int(row["job_id"]), float(row["similarity_score"]))
            answers.setdefault(int(row["user_id"]), []).append(pair)
    return answers


if __name__ == "__main__":
    main()

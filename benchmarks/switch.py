"""What a switch of the model costs: its time, space and memory, under load, and back.

python -m benchmarks.switch [--jobs 600], some minutes. From MiniLM to a BERT of 12
layers and 384 dimensions with random weights, which cost as much as trained ones.
During the switch eight clients ask one service, half of them with texts of their own,
and jobs are edited.
"""

import argparse
import csv
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.models import SAMPLE, bert, fetch
from benchmarks.servers import MODEL_DIR, ROOT, Running, project
from tests.support.postgres import fresh_database, run, running_server

CLIENTS = 8
USERS = 50
OTHER = "BERT"
EDIT_EVERY_S = 0.5
SAMPLED_EVERY_S = 0.05


class Watched:
    """Clients, an editor, and the service's memory, until the end of the block."""

    def __init__(self, url: str, service: Running, texts: list[str]) -> None:
        self._url, self._service, self._texts = url, service, texts
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.failed: list[int] = []
        self.anon_mb: list[float] = []
        self.edits = 0

    def __enter__(self) -> "Watched":
        self._threads = ThreadPoolExecutor(CLIENTS + 2)
        self._running = [
            *(self._threads.submit(self._ask, n) for n in range(CLIENTS)),
            self._threads.submit(self._edit),
            self._threads.submit(self._sample),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for running in self._running:
            running.result(120)
        self._threads.shutdown()

    def _ask(self, client: int) -> None:
        # Imported on demand: the other parts work without it.
        import httpx  # noqa: PLC0415

        rng = random.Random(client)  # noqa: S311  (no secret)
        url = f"http://127.0.0.1:{self._service.port}/api/recommend"
        with httpx.Client(timeout=60) as http:
            while not self._over.is_set():
                text = f"{rng.choice(self._texts)[:200]} {rng.random()}"
                body: dict[str, object] = (
                    {"skills": text}
                    if client % 2
                    else {"user_id": rng.randrange(USERS)}
                )
                start = time.perf_counter()
                status = http.post(url, json=body).status_code
                self.seconds.append(time.perf_counter() - start)
                if status != 200:
                    self.failed.append(status)

    def _edit(self) -> None:
        while not self._over.wait(EDIT_EVERY_S):
            self.edits += 1
            edit = "UPDATE skill_job1 SET skills = %s WHERE job_id = %s"
            run(self._url, edit, (f"welding, edit {self.edits}", self.edits % 50))

    def _sample(self) -> None:
        while not self._over.wait(SAMPLED_EVERY_S):
            self.anon_mb.append(self._service.memory().anon_mb)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=600)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (folder / "made" / OTHER).mkdir(parents=True)
        bert(folder / "made" / OTHER)
        fetch(folder / "made" / OTHER, folder / OTHER)
        (folder / MODEL_DIR.name).symlink_to(MODEL_DIR)
        server = stack.enter_context(running_server())
        url = stack.enter_context(fresh_database(server))
        texts = add_rows(url, args.jobs)
        settings = {
            "DATABASE_URL": url,
            "MODEL_DIR": str(folder / MODEL_DIR.name),
            "SKILL_CACHE_DIR": str(folder / "cache"),
            "RATE_LIMIT_PER_MINUTE": "0",
        }
        command("generate_embeddings", settings)
        service = stack.enter_context(project(url, **settings))
        worker = start("generate_embeddings", settings, "--watch")
        stack.callback(worker.wait)
        stack.callback(worker.terminate)
        for name in (OTHER, MODEL_DIR.name):
            with Watched(url, service, texts) as watched:
                time.sleep(5)
                begun = time.monotonic()
                command("switch_model", settings, name)
                seconds = time.monotonic() - begun
                time.sleep(5)
            report(name, watched, seconds, service)
    return 0


def add_rows(url: str, jobs: int) -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        texts = [row["skills"] for row in csv.DictReader(file)]
    for number in range(jobs):
        text = f"{texts[number % len(texts)]}, skill {number}"
        insert = "INSERT INTO skill_job1 (job_id, skills) VALUES (%s, %s)"
        run(url, insert, (number, text))
    for number in range(USERS):
        run(url, "INSERT INTO users VALUES (%s, %s)", (number, texts[number]))
    return texts


def start(
    script: str, settings: dict[str, str], *arguments: str
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments],
        env=os.environ | settings,
    )


def command(script: str, settings: dict[str, str], *arguments: str) -> None:
    if start(script, settings, *arguments).wait():
        raise RuntimeError(f"{script} {' '.join(arguments)} failed")


def report(name: str, watched: Watched, seconds: float, service: Running) -> None:
    median = statistics.median(watched.seconds) * 1000
    print(
        f"to {name}: {seconds:.0f} s, {len(watched.seconds)} requests of which"
        f" {len(watched.failed)} failed, median {median:.0f} ms, slowest"
        f" {max(watched.seconds) * 1000:.0f} ms; {watched.edits} edits; RssAnon"
        f" {watched.anon_mb[0]:.0f} MB before, {max(watched.anon_mb):.0f} MB at most,"
        f" {service.memory().anon_mb:.0f} MB after",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())

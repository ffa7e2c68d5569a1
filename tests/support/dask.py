"""A Dask scheduler and its workers, as a person starts them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.service import ROOT
from tests.support.waiting import wait_until

STARTED_WITHIN_S = 60.0
DASK = (sys.executable, "-m", "dask")
LOCAL = ("--host", "127.0.0.1")
COMMANDS_OWN = ("DATABASE_URL", "JOB_COLUMNS", "SKILL_CACHE_DIR")

Process = subprocess.Popen[bytes]


@contextmanager
def dask_scheduler(folder: Path, *, code: Path = ROOT) -> Iterator[tuple[str, Process]]:
    """A scheduler without workers: its address, and its process."""
    file = folder / "scheduler.json"
    options = ("--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    with _running(
        folder / "scheduler.log", "scheduler", *LOCAL, *options, code=code
    ) as process:

        def is_up() -> bool:
            return file.exists() and bool(file.read_text())

        wait_until(is_up, within_s=STARTED_WITHIN_S)
        yield json.loads(file.read_text())["address"], process


@contextmanager
def dask_worker(
    address: str, folder: Path, *, code: Path = ROOT, **environment: str
) -> Iterator[Process]:
    """A worker of one thread. `code`: the folder from which it imports the project."""
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    folder.mkdir()
    log = folder / "worker.log"
    environment |= {
        "MODEL_DIR": str(ROOT / "models" / "all-MiniLM-L6-v2"),
        "SKILL_CACHE_DIR": str(folder / "skills"),
    }
    with _running(
        log, "worker", address, *LOCAL, *options, code=code, **environment
    ) as process:
        wait_until(
            lambda: b"Registered to" in log.read_bytes(),
            within_s=STARTED_WITHIN_S,
            failing=log.read_text,
        )
        yield process


@contextmanager
def _running(
    log: Path, *command: str, code: Path, **environment: str
) -> Iterator[Process]:
    # A worker on another host has none of the command's settings.
    inherited = {k: v for k, v in os.environ.items() if k not in COMMANDS_OWN}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*DASK, *command],
            cwd=log.parent,
            env=inherited | {"PYTHONPATH": str(code)} | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)

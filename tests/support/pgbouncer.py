"""PgBouncer in transaction mode, as on many hosts."""

import getpass
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.service import free_port
from tests.support.waiting import wait_until

STARTED_WITHIN_S = 10.0


@contextmanager
def running_pgbouncer(
    program: Path, upstream: Path, *, max_clients: int = 100
) -> Iterator[int]:
    """Its port on the loopback interface. `upstream`: the unix socket of a server."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(f"""
[databases]
* = host={upstream.parent} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = {max_clients}
logfile = {folder}/log
pidfile =
""")
        command = [str(program), str(settings)]
        if getpass.getuser() == "root":
            # It refuses to run as root, and must reach the server's socket.
            Path(folder).chmod(0o777)
            command[1:1] = ["-u", upstream.owner()]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    def listens() -> bool:
        if process.poll() is not None:
            raise RuntimeError("PgBouncer did not start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_until(listens, within_s=STARTED_WITHIN_S)

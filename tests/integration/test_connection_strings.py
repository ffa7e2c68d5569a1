"""F118: the errors of all commands for invalid connection strings."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from app.commands import build_vector_index, doctor, embed, migrate, recommend_all
from app.commands.import_csv import command as import_csv
from tests.support.service import ROOT, free_port

COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], Sequence[str]]] = {
    "migrate": (migrate.main, []),
    "import_csv": (import_csv.main, ["jobs", str(ROOT / "samples/jobs.csv")]),
    "generate_embeddings": (embed.main, []),
    "doctor": (doctor.main, []),
    "build_vector_index": (build_vector_index.main, []),
    "recommend_all": (recommend_all.main, ["--csv", os.devnull]),
}
URLS = (
    "postgresql+psycopg2://user:hunter2@127.0.0.1/name",
    "postgresql://user:hunter2@127.0.0.1/name?pgbouncer=true",
    "postgresql://user:hunter2@127.0.0.1/name?schema=hiring",
    "'postgresql://user:hunter2@127.0.0.1/name'",
    "postgresql://user:pass@hunter2@127.0.0.1/name",
    "postgresql://user:pass/hunter2@127.0.0.1/name",
    "postgresql://user:hunter2%@127.0.0.1/name",
    "postgresql://user:hunter2@127.0.0.1:port/name",
    "user:hunter2@127.0.0.1/name",
    "host=127.0.0.1 password=not quoted hunter2",
    "postgresql://user:hunter2@127.0.0.1/name?sslmode=hunter2",
)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("url", URLS)
def test_f118_no_command_prints_a_password(
    name: str,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    main, arguments = COMMANDS[name]
    assert main(arguments) != 0
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert "DATABASE_URL: " in said.out + said.err


@pytest.mark.parametrize("url", URLS[:2])
@pytest.mark.parametrize("what", [["-m", "app"], ["scripts/run_local.py"]])
def test_f118_the_service_prints_none_either(url: str, what: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, *what],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url, "PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "DATABASE_URL: " in done.stderr

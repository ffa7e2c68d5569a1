"""The installed package, in an empty folder: `pip install .` and what it brings."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import __version__
from app.commands.program import COMMANDS
from tests.support.postgres import Server, fresh_database, run
from tests.support.service import ROOT, running_service

PORT = ("--port", "{port}")
WAYS = {
    "python -m app": ("-m", "app"),
    "uvicorn": ("-m", "uvicorn", "app.main:app", *PORT),
    "fastapi run": ("-m", "fastapi", "run", "--entrypoint", "app.main:app", *PORT),
    "fastapi dev": ("-m", "fastapi", "dev", "--entrypoint", "app.main:app", *PORT),
}


def call(
    environment: Path, folder: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """`job-recommender` with these arguments in that folder."""
    return subprocess.run(
        [environment / "bin" / "job-recommender", *arguments],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def prepared(installed: Path, postgres: Server, tmp_path: Path) -> str:
    """A new database with the sample, made by the installed commands alone."""
    run(postgres.url(), "CREATE DATABASE installed")
    url = postgres.url("installed")
    (packages,) = installed.glob("lib/*/site-packages")
    sample = packages / "app/data/samples/jobs.csv"
    variables = {
        "DATABASE_URL": url,
        "MODEL_DIR": str(ROOT / "models" / "all-MiniLM-L6-v2"),
    }
    said = ""
    for command in (
        ("migrate",),
        ("import", "jobs", str(sample), "--add-columns", "title,company,location"),
        ("model",),
        ("embed",),
    ):
        ended = call(installed, tmp_path, *command, **variables)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said += ended.stdout
    assert "160 rows added" in said
    assert "160 jobs embedded" in said
    return url


def test_it_prepares_a_database_serves_in_each_way_and_needs_no_checkout(
    installed: Path, prepared: str, tmp_path: Path
) -> None:
    python = str(installed / "bin" / "python")
    for way, command in WAYS.items():
        with running_service(
            prepared,
            tmp_path / "log",
            python=python,
            command=command,
            folder=str(tmp_path),
        ) as service:
            found = service.recommend(skills="preventing falls", top_n=1).json()
            assert found["total_jobs_analyzed"] == 160, way
            assert service.client.get("/").status_code == 200
            document = service.client.get("/openapi.json").json()
            assert document["info"]["version"] == __version__
    modules = subprocess.run(
        [python, "-c", "import app; print(app.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(installed) in modules.stdout
    ended = call(installed, tmp_path, "doctor", DATABASE_URL=prepared)
    # The sample has no users; nothing else is to be fixed.
    assert "jobs: 160 embedded" in ended.stdout, ended.stdout + ended.stderr


def test_it_names_its_version_and_its_commands(installed: Path, tmp_path: Path) -> None:
    said = call(installed, tmp_path, "--version")
    assert said.stdout == f"job-recommender {__version__}\n"
    listed = call(installed, tmp_path, "--help").stdout
    assert re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.MULTILINE) == list(COMMANDS)
    for name in COMMANDS:
        ended = call(installed, tmp_path, name, "--help")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(f"usage: job-recommender {name}"), ended.stdout


def test_messages_name_commands_that_are_there(
    installed: Path, postgres: Server, tmp_path: Path
) -> None:
    """A package has no scripts."""
    with fresh_database(postgres, template="template1") as url:
        ended = call(installed, tmp_path, "doctor", DATABASE_URL=url)
    assert ended.returncode == 1
    assert "job-recommender migrate" in ended.stdout
    assert "scripts/" not in ended.stdout + ended.stderr


def test_what_was_forgotten_is_answered_with_the_command_to_run(
    installed: Path, postgres: Server, database_url: str, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    start: dict[str, Any] = {
        "python": str(installed / "bin" / "python"),
        "command": ("-m", "app"),
        "folder": str(tmp_path),
    }
    with (
        fresh_database(postgres, template="template1") as url,
        running_service(url, tmp_path / "log", **start) as service,
    ):
        assert detail_of(service.recommend(user_id=1)) == (
            "The database lacks a schema that the service needs;"
            " run `job-recommender migrate`."
        )
    with running_service(
        database_url, tmp_path / "log", **start, MODEL_DIR=str(absent)
    ) as service:
        assert detail_of(service.recommend(skills="python")) == (
            f"{absent}/manifest.json is absent: run `job-recommender model`."
        )


def detail_of(response: httpx.Response) -> str:
    assert response.status_code == 503
    return str(response.json()["detail"])


def test_an_unknown_command_is_refused(installed: Path, tmp_path: Path) -> None:
    ended = call(installed, tmp_path, "nonsense")
    assert ended.returncode == 2
    assert "invalid choice: 'nonsense'" in ended.stderr


def test_try_names_the_extra_that_it_needs(installed: Path, tmp_path: Path) -> None:
    ended = call(installed, tmp_path, "try")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "The embedded Postgres is not installed: pip install 'job-recommender[try]',"
        " or in a checkout requirements-run.txt.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("recommend-all", "--to-table"), ("embed",)])
def test_a_scheduler_names_the_extra_that_it_needs(
    installed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    address = ("--scheduler", "tcp://127.0.0.1:1")
    ended = call(installed, tmp_path, *command, *address, DATABASE_URL="postgresql://")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.partition(": ")[2] == (
        "--scheduler needs the packages of the extra scale: pip install"
        " 'job-recommender[scale]', or in a checkout requirements-scale.txt.\n"
    )


def test_the_python_client_is_packaged_with_its_types(
    tmp_path: Path,
) -> None:
    pip = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "install",
        "--quiet", "--no-deps", "--target", str(tmp_path),
    ]  # fmt: skip
    subprocess.run([*pip, str(ROOT / "clients/python")], check=True)
    package = tmp_path / "job_recommendations"
    client = ROOT / "clients/python/job_recommendations.py"
    assert (package / "__init__.py").read_text() == client.read_text()
    assert (package / "py.typed").exists()
    (metadata,) = tmp_path.glob("job_recommendations-*.dist-info/METADATA")
    assert f"\nVersion: {__version__}\n" in metadata.read_text()

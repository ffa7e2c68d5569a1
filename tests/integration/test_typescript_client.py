"""The TypeScript client: its types, its build, and Node against a running service."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import __version__
from tests.support.embedding import embed
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import ROOT, Service, running_service

CLIENT = ROOT / "clients/typescript"
LARGE = 2**53 + 1
JOBS = 20


@pytest.fixture(scope="module")
def service(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("typescript")
    with fresh_database(postgres) as url:
        add_pending_jobs(url, [f"python {n}" for n in range(JOBS)])
        run(url, "ALTER TABLE skill_job1 ADD title text DEFAULT 'Developer'")
        run(
            url,
            "INSERT INTO skill_job1 (job_id, skills) VALUES (%s, 'python, pottery')",
            (LARGE,),
        )
        add_user(url, LARGE, "python, pottery")
        embed(url)
        with running_service(
            url, folder / "log", JOB_COLUMNS="title", SKILL_CACHE_DIR=str(folder)
        ) as running:
            yield running


@pytest.fixture(scope="module")
def client(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client with the packages of its lock file."""
    folder = tmp_path_factory.mktemp("client") / "typescript"
    ignored = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(CLIENT, folder, ignore=ignored)
    npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


def npm(folder: Path, *arguments: str, **variables: str) -> str:
    """What `npm` prints. Its failure is the test's."""
    ended = subprocess.run(
        [str(shutil.which("npm")), "--silent", *arguments],
        cwd=folder,
        env=os.environ | {"REDOCLY_TELEMETRY": "off"} | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_it_is_built_and_answered_by_a_running_service(
    client: Path, service: Service
) -> None:
    npm(client, "run", "build")
    said = npm(client, "test", BASE_URL=str(service.client.base_url))
    assert "# fail 0" in said
    assert "# skipped 0" in said


def test_its_types_are_those_of_the_document(
    client: Path, database_url: str, tmp_path: Path
) -> None:
    with running_service(database_url, tmp_path / "log") as plain:
        document = tmp_path / "openapi.json"
        document.write_bytes(plain.client.get("/openapi.json").content)
    npm(client, "run", "types", "--", str(document), "-o", "generated.ts")
    expected = (client / "generated.ts").read_text()
    assert (CLIENT / "src/schema.ts").read_text() == expected, "run `make client-types`"


@pytest.mark.parametrize("keys", ["", "a-key-for-the-linter-only"])
def test_a_linter_finds_nothing_in_the_document(
    client: Path, database_url: str, tmp_path: Path, keys: str
) -> None:
    with running_service(
        database_url, tmp_path / "log", API_KEYS=keys, JOB_COLUMNS="title"
    ) as linted:
        document = tmp_path / "openapi.json"
        document.write_bytes(linted.client.get("/openapi.json").content)
    npm(client, "run", "lint-openapi", "--", "--format=json", str(document))


def test_it_has_no_dependencies_and_the_versions_are_one() -> None:
    package = json.loads((CLIENT / "package.json").read_text())
    assert "dependencies" not in package
    lock = json.loads((CLIENT / "package-lock.json").read_text())
    assert package["version"] == lock["version"] == __version__

"""All ways to start the service, with valid and invalid settings."""

import os
import subprocess
from pathlib import Path

import pytest
from uvicorn.config import STARTUP_FAILURE

from app.api.application import HTTP_PROTOCOL, OPEN, UNBOUNDED
from tests.support.bulk import fill_jobs
from tests.support.service import ROOT, free_port, running_service

PORT = ("--port", "{port}")
UVICORN = ("-m", "uvicorn", "app.main:app", *PORT)
BOUNDED = {
    "app": ("-m", "app"),
    "uvicorn": UVICORN,
    "fastapi run": ("-m", "fastapi", "run", *PORT),
    "fastapi run with a path": ("-m", "fastapi", "run", "app/main.py", *PORT),
    "workers with our protocol": (*UVICORN, "--workers", "2", "--http", HTTP_PROTOCOL),
}
UNBOUNDED_WAYS = {
    "workers": (*UVICORN, "--workers", "2"),
    "reload": (*UVICORN, "--reload"),
    "fastapi dev": ("-m", "fastapi", "dev", *PORT),
}
WAYS = BOUNDED | UNBOUNDED_WAYS


@pytest.fixture
def python(serving_set_with_fastapi_cli: Path) -> str:
    return str(serving_set_with_fastapi_cli / "bin" / "python")


@pytest.mark.parametrize("way", WAYS)
def test_it_serves_and_warns_of_missing_protections(
    database_url: str, tmp_path: Path, python: str, way: str
) -> None:
    fill_jobs(database_url, 20)
    with running_service(
        database_url, tmp_path / "log", python=python, command=WAYS[way]
    ) as service:
        response = service.recommend(skills="python", top_n=3)
        assert len(response.json()["recommendations"]) == 3
        assert OPEN in service.log
        assert (UNBOUNDED in service.log) == (way in UNBOUNDED_WAYS)
        long = service.client.get("/healthz", headers={"X-Long": "x" * 500_000})
        assert long.status_code == (200 if way in UNBOUNDED_WAYS else 400)
        # One line a request, and it is ours.
        assert "app.request" in service.log
        assert "POST /api/recommend HTTP" not in service.log
    assert "Traceback" not in service.log


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "hush-hush nonsense"),
        ("MAX_TOP_N", "hush-hush"),
        ("API_KEYS", "hush-hush"),
        ("ENV_FILE", "nowhere/.env"),
        ("ENV_FILE", "docs"),
    ],
)
@pytest.mark.parametrize("way", sorted(BOUNDED.keys() - {"workers with our protocol"}))
def test_f58_a_bad_setting_is_one_sentence_in_each(
    python: str, way: str, name: str, value: str
) -> None:
    ended = subprocess.run(
        [python, *(part.format(port=1) for part in WAYS[way])],
        cwd=ROOT,
        env=os.environ
        | {
            "DATABASE_URL": "postgresql://127.0.0.1:1/x",
            "PORT": str(free_port()),
            name: value,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (2, STARTUP_FAILURE)
    assert ended.stderr.count("\n") == 1
    assert name in ended.stderr
    assert "Traceback" not in ended.stdout
    assert "hush-hush" not in ended.stdout + ended.stderr


def test_f58_a_bad_setting_stops_workers_and_the_process_that_starts_them(
    python: str,
) -> None:
    way = WAYS["workers with our protocol"]
    ended = subprocess.run(
        [python, *(part.format(port=free_port()) for part in way)],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "postgresql://x", "MAX_TOP_N": "hush-hush"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "MAX_TOP_N" in ended.stderr
    assert "stopping the parent process" in ended.stderr
    assert "hush-hush" not in ended.stdout + ended.stderr

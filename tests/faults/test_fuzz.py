"""Schemathesis against the running service's own OpenAPI document, all checks on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bulk import fill_jobs
from tests.support.columns import NAMES, add_columns, made_rows
from tests.support.postgres import Server, fresh_database
from tests.support.rows import add_users
from tests.support.service import running_service

KEY = "a-key-for-the-fuzzer-only"
PROGRAM = Path(sys.executable).parent / "schemathesis"
HOOKS = Path(__file__).parent / "fuzz_hooks.py"

# The open service has the same routes: a few examples of each are enough.
EXAMPLES = {"with keys": 60, "open": 15}

PHASES = "examples,coverage,fuzzing,stateful"


@pytest.fixture(scope="module")
def url(postgres: Server) -> Iterator[str]:
    with fresh_database(postgres) as url:
        fill_jobs(url, 50)
        add_columns(url, dict(enumerate(made_rows(50, seed=1), start=1)))
        add_users(url, {user: f"skill {user}" for user in range(100)})
        yield url


@pytest.mark.parametrize("kind", list(EXAMPLES))
def test_no_request_that_can_be_made_up_breaks_the_service_or_its_schema(
    url: str, tmp_path: Path, kind: str
) -> None:
    header = {"Authorization": f"Bearer {KEY}"} if kind == "with keys" else {}
    with running_service(
        url,
        tmp_path / "log",
        API_KEYS=KEY if header else "",
        RATE_LIMIT_PER_MINUTE="0",
        JOB_COLUMNS=NAMES,
    ) as service:
        # The document contains the types of filters after the first read of the schema.
        assert service.client.get("/api/columns", headers=header).status_code == 200
        ended = subprocess.run(
            [
                PROGRAM, "run", f"{service.client.base_url}/openapi.json",
                "--checks", "all", "--max-examples", str(EXAMPLES[kind]), "--no-color",
                "--phases", PHASES,
                "--generation-deterministic", "--request-timeout", "20",
                *(f"--header={name}: {value}" for name, value in header.items()),
            ],
            cwd=tmp_path,
            env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
        assert service.client.get("/healthz").status_code == 200
        assert "exception" not in service.log

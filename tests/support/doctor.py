"""Run the doctor as a command and parse its findings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.commands import doctor
from tests.support.postgres import Server, copied
from tests.support.service import ROOT

MODEL_DIR = str(ROOT / "models" / "all-MiniLM-L6-v2")
EMBED = "python scripts/generate_embeddings.py"
MIGRATE = "python scripts/migrate.py"
REPAIR = "python scripts/migrate.py --again"


@contextmanager
def examined(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The connection string of a copy, which the doctor is told of as well."""
    with copied(server, url) as copy:
        monkeypatch.setenv("DATABASE_URL", copy)
        monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
        yield copy


def look(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit status and the output of the doctor."""
    capsys.readouterr()
    status = doctor.main(list(arguments))
    return status, capsys.readouterr().out


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The findings: what is wrong and how to repair it."""
    status, out = look(capsys, "--json")
    found = {one["problem"]: one["mend"] for one in json.loads(out)["findings"]}
    assert status == (1 if found else 0)
    return found


def statements(found: dict[str, str]) -> Iterator[str]:
    """The repairs that are SQL."""
    return (mend for mend in found.values() if mend.endswith(";"))

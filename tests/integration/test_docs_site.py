"""The site of the documentation, and what its pages tell people to paste."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.migrate import migrate
from tests.support.postgres import Server, run
from tests.support.service import ROOT

MKDOCS = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]


@pytest.mark.parametrize("address", ["", "https://git.example/team/board"])
def test_the_site_is_built_without_a_dead_link(tmp_path: Path, address: str) -> None:
    ended = subprocess.run(
        [*MKDOCS, "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"REPOSITORY_URL": address, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "site/performance/index.html").read_text()
    results = "blob/main/benchmarks/RESULTS.md"
    assert (f"{address}/{results}" in page) == bool(address)
    assert "benchmarks/RESULTS.md" in page


def test_the_migrations_copied_for_supabase_make_the_same_schema(
    tmp_path: Path, postgres: Server
) -> None:
    text = (ROOT / "docs/supabase.md").read_text()
    (copying,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    subprocess.run(["/bin/sh", "-e", "-c", copying], cwd=tmp_path, check=True)
    files = sorted((tmp_path / "supabase/migrations").iterdir())
    assert len(files) == len(list((ROOT / "migrations").glob("*.sql")))
    for file in files:
        assert re.fullmatch(r"\d{14}_recommender_\w+\.sql", file.name)
    run(postgres.url(), "CREATE DATABASE supabase")
    url = postgres.url("supabase")
    for file in files:
        run(url, file.read_text())
    pasted = _schema(url)
    list(migrate(url))
    assert _schema(url) == pasted


def _schema(url: str) -> object:
    """Columns of the tables, and our triggers and functions."""
    return [
        run(
            url,
            "SELECT table_schema, table_name, column_name, data_type"
            " FROM information_schema.columns"
            " WHERE table_schema IN ('public', 'recommender') ORDER BY 1, 2, 3",
        ),
        run(
            url,
            "SELECT tgname::text, tgrelid::regclass::text FROM pg_trigger"
            " WHERE NOT tgisinternal ORDER BY 1, 2",
        ),
        run(
            url,
            "SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE pronamespace = 'recommender'::regnamespace ORDER BY 1",
        ),
    ]

"""What the SQL files must not hold, so that they work over several servers.

Citus refuses the first three (docs/shards.md); postgres_fdw cannot skip a locked row.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage.connection.database import SETTINGS
from app.storage.sql import FOLDER, load
from tests.support.service import ROOT

FILES = sorted([*FOLDER.glob("*.sql"), *(ROOT / "migrations").rglob("*.sql")])
OURS = sorted(FOLDER.glob("*.sql"))
LOCKING = re.compile(r"\bFOR (?:NO KEY UPDATE|UPDATE|KEY SHARE|SHARE)\b( OF [^\n]*)?")
# Queries that lock rows of the jobs themselves; none is used for jobs on shards:
# `Claims` takes free_rows in place of free_jobs, and switch_model refuses shards.
LOCKS_JOBS = {("claims", "free_jobs"), ("models", "drop_columns")}


def without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


def empty_selects(text: str) -> list[str]:
    """`SELECT FROM`, without a column."""
    return re.findall(r"\bSELECT\s+FROM\b", without_comments(text), re.IGNORECASE)


def notifications(text: str) -> list[str]:
    return re.findall(r"\bNOTIFY\b|pg_notify", without_comments(text), re.IGNORECASE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_subqueries_name_a_column(file: Path) -> None:
    assert empty_selects(file.read_text()) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_transaction_notifies(file: Path) -> None:
    assert notifications(file.read_text()) == []


def locks_of_jobs() -> Iterator[tuple[str, str]]:
    """The queries that may lock rows of the team's tables."""
    for file in OURS:
        for name, query in load(file.stem).items():
            text = without_comments(query.string)
            if "{table}" not in text and "{relation}" not in text:
                continue
            for found in LOCKING.finditer(text):
                if found[1] != " OF {locked} SKIP LOCKED":
                    yield file.stem, name


def test_rows_of_jobs_are_locked_where_claims_say_so_and_nowhere_else() -> None:
    assert set(locks_of_jobs()) == LOCKS_JOBS


def test_every_transaction_turns_jit_off() -> None:
    assert "SET LOCAL jit = off" in SETTINGS


def test_what_is_looked_for_is_found() -> None:
    assert empty_selects("WHERE EXISTS (\n    SELECT\n FROM t)  -- SELECT FROM") != []
    assert empty_selects("SELECT 1 FROM t -- SELECT FROM u") == []
    assert notifications("PERFORM pg_notify('a', ''); NOTIFY b") == [
        "pg_notify",
        "NOTIFY",
    ]

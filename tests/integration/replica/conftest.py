"""A replica of 300 jobs, in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.integration.replica.replicas import Exercise, add_jobs, around

JOBS = 300


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Iterator[Exercise]:
    exercise = Exercise(database_url, tmp_path / "replica")
    yield exercise
    exercise.close()


@pytest.fixture
def filled(empty: Exercise) -> Exercise:
    """Ids in no order; every tenth embedding four times; the replica is ready."""
    rows = around(JOBS)
    rows[::10] = rows[np.arange(0, JOBS, 10) % 90]
    ids = np.random.default_rng(2).permutation(10 * JOBS)[:JOBS]
    add_jobs(empty.url, rows, ids.tolist())
    empty.pass_once()
    return empty

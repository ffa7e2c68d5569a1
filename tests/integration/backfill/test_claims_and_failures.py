"""Claims of other workers, and earlier failures of a row."""

from collections.abc import Callable, Sequence
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.backfill import Backfill, worker
from app.storage.connection.database import Database
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.rows import add_job, add_pending_jobs


class Hooked(HashEncoder):
    """An encoder that calls `before` with the texts."""

    def __init__(self, before: Callable[[Sequence[str]], None]) -> None:
        super().__init__()
        self._before = before

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self._before(texts)
        return super().encode(texts)


def embed(database: Database, encoder: HashEncoder) -> int:
    backfill = Backfill(database, encoder, batch_size=4)
    return sum(done.embedded for done in backfill.run())


def test_a_worker_renews_its_own_claim_and_no_other(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers hold rows. A renewal that matched both claims would seem to have lost
    its own, and discard the batch.
    """
    add_pending_jobs(database_url, [f"text {n}" for n in range(8)])
    # The clock advances half a minute per call, so every slice renews its claim.
    clock = count(step=30.0)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    others: list[int] = []

    def run_another(_: Sequence[str]) -> None:
        if not others:
            others.append(0)
            second = Backfill(database, HashEncoder(), batch_size=4, slice_rows=1)
            others[0] = sum(
                done.embedded for done in second.run(limit=4, wait_for_claims=False)
            )

    first = Backfill(database, Hooked(run_another), batch_size=4, slice_rows=1)
    own = sum(done.embedded for done in first.run(limit=4, wait_for_claims=False))
    assert (own, others) == (4, [4])


def test_a_row_embedded_later_is_not_quarantined_for_its_old_text(
    database: Database, database_url: str
) -> None:
    """A failure may be transient: low memory, or another model."""
    is_short = True

    def fail(texts: Sequence[str]) -> None:
        if is_short and "large" in texts:
            raise MemoryError

    encoder = Hooked(fail)
    add_pending_jobs(database_url, ["small", "large"])
    assert embed(database, encoder) == 1
    backfill = Backfill(database, encoder, batch_size=4)
    assert [failure.row_id for failure in backfill.failures()] == ["2"]
    run(database_url, "UPDATE skill_job1 SET skills = 'other' WHERE job_id = 2")
    assert embed(database, encoder) == 1
    is_short = False
    run(database_url, "UPDATE skill_job1 SET skills = 'large' WHERE job_id = 2")
    assert backfill.failures() == []
    assert embed(database, encoder) == 1
    assert backfill.remaining() == 0


def test_a_new_job_with_known_skills_only_is_pending(
    database: Database, database_url: str
) -> None:
    """Neither its text nor its skills need an encoding."""
    add_pending_jobs(database_url, ["python, sql"])
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert backfill.any_waiting()
    assert embed(database, HashEncoder()) == 1
    assert not backfill.any_waiting()
    add_job(database_url, 2, "sql, python")
    assert backfill.any_waiting()
    assert [done.split for done in backfill.run()] == [1]
    assert not backfill.any_waiting()

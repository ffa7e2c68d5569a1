"""What one worker's claim and a row's earlier failure must not spoil."""

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
    """Calls `before` with the texts that it is asked for."""

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
    """Two workers hold rows. A renewal that met both claims would say that its own was
    lost, and the batch would be thrown away.
    """
    add_pending_jobs(database_url, [f"text {n}" for n in range(8)])
    # Each look at the clock is half a minute later: every slice renews its claim.
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


def test_a_row_that_was_embedded_since_is_not_in_quarantine_for_its_old_text(
    database: Database, database_url: str
) -> None:
    """A failure may pass: memory was short, the model another one."""
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


def test_a_new_job_whose_skills_are_all_known_is_waited_for(
    database: Database, database_url: str
) -> None:
    """Nothing is to be embedded for it, and its skills are no news."""
    add_pending_jobs(database_url, ["python, sql"])
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert backfill.any_waiting()
    assert embed(database, HashEncoder()) == 1
    assert not backfill.any_waiting()
    add_job(database_url, 2, "sql, python")
    assert backfill.any_waiting()
    assert [done.split for done in backfill.run()] == [1]
    assert not backfill.any_waiting()

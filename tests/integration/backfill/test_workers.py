"""Several workers, dead workers, and an unavailable database; without the model."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from app.backfill import Backfill, Progress
from app.backfill.claim_store import Batch
from app.backfill.watch import watch
from app.errors import DatabaseUnavailableError
from app.storage.connection.database import Database
from tests.integration.backfill.script import until
from tests.support.encoders import HashEncoder, direction
from tests.support.postgres import fresh_database, run, running_server
from tests.support.rows import add_pending_jobs
from tests.support.skills import all_work, rows_of, skills_of, total_of
from tests.support.waiting import be_slow


class SlowEncoder(HashEncoder):
    """Encodes slowly, or until the test releases it."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.meanwhile()
        return super().encode(texts)


def all_embedded(url: str) -> bool:
    rows = run(url, "SELECT skills, embedding FROM skill_job1")
    return all(
        data is not None and bytes(data) == direction(text).tobytes()
        for text, data in rows
    )


def test_f64_four_workers_share_the_rows_and_embed_none_twice(
    database_url: str,
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(400)])
    run(
        database_url,
        "CREATE TABLE stores (job_id bigint);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO stores VALUES (NEW.job_id); RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER UPDATE ON skill_job1"
        " FOR EACH ROW EXECUTE FUNCTION note()",
    )
    with ExitStack() as stack:
        databases = [Database(database_url, pool_size=1) for _ in range(4)]
        for database in databases:
            stack.callback(database.close)
        encoders = [SlowEncoder(lambda: be_slow(0.002)) for _ in databases]
        start = threading.Barrier(4)

        def work(number: int) -> Progress:
            start.wait()
            backfill = Backfill(databases[number], encoders[number], batch_size=7)
            return total_of(backfill.run())

        with ThreadPoolExecutor(4) as threads:
            done = list(threads.map(work, range(4)))
    assert sum(done, Progress()) == Progress(embedded=400)
    seen = [text for encoder in encoders for text in encoder.seen]
    assert len(seen) == 800  # texts, each of which is its own only skill
    assert set(Counter(seen).values()) == {2}
    assert run(database_url, "SELECT count(*) FROM stores") == [(400,)]
    assert all(part.embedded > 0 for part in done)
    assert all_embedded(database_url)


def test_f64_editors_who_take_rows_in_another_order_meet_no_deadlock(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(60)])
    over = threading.Event()

    def edit() -> int:
        edits = 0
        while not over.is_set():
            run(
                database_url,
                "UPDATE skill_job1 SET skills = 'edited ' || job_id FROM"
                " (SELECT job_id AS id FROM skill_job1 ORDER BY job_id DESC"
                " FOR UPDATE) AS backwards WHERE job_id = id",
            )
            edits += 1
        return edits

    with ThreadPoolExecutor(2) as threads:
        editors = [threads.submit(edit) for _ in range(2)]
        backfill = Backfill(database, HashEncoder(), batch_size=20)
        for _ in range(20):
            list(backfill.run(limit=40))
        over.set()
        assert min(editor.result() for editor in editors) > 0
    list(Backfill(database, HashEncoder(), batch_size=20).run())
    assert all_embedded(database_url)


def test_a_dead_workers_rows_are_waited_for_and_taken_over(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b"])
    claim_for_a_dead_worker(database_url, [1], expires_in="300 milliseconds")
    encoder = HashEncoder()
    assert total_of(Backfill(database, encoder, batch_size=4).run()) == (
        Progress(embedded=2)
    )
    assert encoder.seen == ["b", "b", "a", "a"]  # each is its own only skill


def claim_for_a_dead_worker(url: str, ids: list[int], *, expires_in: str) -> None:
    run(
        url,
        "INSERT INTO recommender.claim VALUES"
        " (gen_random_uuid(), 'jobs', %s::text[], now() + %s::interval)",
        (ids, expires_in),
    )


def test_without_lingering_it_leaves_claimed_rows_to_their_worker(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b"])
    claim_for_a_dead_worker(database_url, [1], expires_in="1 hour")
    backfill = Backfill(database, HashEncoder(), batch_size=4)
    assert rows_of(backfill.run(wait_for_claims=False)) == [Progress(embedded=1)]


def test_a_slow_worker_renews_its_claim(database: Database, database_url: str) -> None:
    add_pending_jobs(database_url, [f"skill {n}" for n in range(6)])
    seen: list[object] = []

    def note_the_expiry() -> None:
        be_slow(0.12)
        seen.append(expiry(database_url))

    encoder = SlowEncoder(note_the_expiry)
    backfill = Backfill(database, encoder, batch_size=6, slice_rows=1, lease_s=0.3)
    assert rows_of(backfill.run()) == [Progress(embedded=6)]
    assert len(set(seen)) > 2


def expiry(url: str) -> object:
    return run(url, "SELECT max(expires_at) FROM recommender.claim")[0][0]


def test_a_worker_that_lost_its_claim_stores_nothing(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a"])
    taken = iter([True])

    def lose_the_claim() -> None:
        # As the next worker does with an expired claim.
        if next(taken, False):
            run(database_url, "DELETE FROM recommender.claim")

    backfill = Backfill(database, SlowEncoder(lose_the_claim), batch_size=4)
    assert rows_of(backfill.run()) == [Progress(changed=1), Progress(embedded=1)]


def test_f65_a_restart_of_the_database_is_waited_out() -> None:
    with running_server() as server, fresh_database(server) as url:
        add_pending_jobs(url, [f"skill {n}" for n in range(40)])
        batches = iter(range(100))

        def restart_in_the_third_batch() -> None:
            if next(batches) == 2:
                server.handle.stop()
                restart.start()

        restart = threading.Timer(0.5, server.handle.ensure_postgres_running)
        database = Database(url, pool_size=1)
        backfill = Backfill(
            database, SlowEncoder(restart_in_the_third_batch), batch_size=10
        )
        assert total_of(backfill.run()) == Progress(embedded=40)
        restart.join()
        assert all_embedded(url)
        database.close()


def test_f65_a_database_that_stays_away_ends_the_wait_with_its_error() -> None:
    database = Database("postgresql://me:secret@127.0.0.1:1/none", pool_size=1)
    backfill = Backfill(database, HashEncoder(), batch_size=4, patience_s=0.5)
    with pytest.raises(DatabaseUnavailableError):
        list(backfill.run())
    database.close()


def test_watching_embeds_new_and_changed_texts_within_two_seconds(
    database: Database, database_url: str
) -> None:
    stop = threading.Event()
    work = all_work(database, HashEncoder(), stays_up=True, stop=stop)
    watching = threading.Thread(target=lambda: list(watch(lambda: work, stop)))
    watching.start()
    try:
        add_pending_jobs(database_url, ["new"])
        until(lambda: all_embedded(database_url), within_s=2)
        for text in ("edited", "edited again"):
            run(database_url, "UPDATE skill_job1 SET skills = %s", (text,))
            until(lambda: all_embedded(database_url), within_s=2)
            until(partial(has_skills, database_url, text), within_s=2)
    finally:
        stop.set()
        watching.join()


def has_skills(url: str, *skills: str) -> bool:
    return skills_of(url) == [list(skills)]


def test_a_claim_that_expires_at_the_last_poll_is_still_taken_over(
    database: Database, database_url: str
) -> None:
    add_pending_jobs(database_url, ["a", "b"])
    claim_for_a_dead_worker(database_url, [1], expires_in="1 hour")

    class Unlucky(Backfill):
        """A worker whose claims expire between its queries for rows and for claims."""

        def _next(self, left: int | None) -> Batch | None:
            batch = super()._next(left)
            if batch is None:
                run(database_url, "UPDATE recommender.claim SET expires_at = now()")
            return batch

    backfill = Unlucky(database, HashEncoder(), batch_size=4)
    assert total_of(backfill.run()) == Progress(embedded=2)

"""The fill beside the model in use, the switch, and the drop of what it leaves."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray

from app.backfill.switching import ModelSwitch, drop_old
from app.commands.model_comparison import compare_models
from app.commands.switch_model import main
from app.deadline import Deadline
from app.encoder.passages import PromptedEncoder
from app.errors import ModelSwitchedError
from app.storage.catalogue import Catalogue
from app.storage.connection.database import Database
from app.storage.connection.model_snapshots import ModelSnapshots
from tests.integration.models.encoders import PaddedEncoder, SmallEncoder
from tests.support.encoders import HashEncoder
from tests.support.postgres import run
from tests.support.queries import profile_query, results
from tests.support.ranking import rank, ranking_over
from tests.support.rows import add_pending_jobs, add_user, admit
from tests.support.service import ROOT
from tests.support.skills import all_work, fill
from tests.support.waiting import wait_until

TEXTS = [f"word{n}, sql, go {n % 5}" for n in range(60)]


def switch_to(
    database: Database,
    encoder: PromptedEncoder,
    *,
    stop: threading.Event | None = None,
) -> ModelSwitch:
    return ModelSwitch(
        database,
        encoder,
        batch_size=7,
        slice_rows=3,
        stop=stop or threading.Event(),
        lease_s=0.2,
    )


@pytest.fixture
def filled(database: Database, database_url: str) -> ModelSwitch:
    """Rows that the guide's model has embedded, and a switch that has begun."""
    add_pending_jobs(database_url, TEXTS)
    for number in range(9):
        add_user(database_url, number, TEXTS[number])
    fill(database, PaddedEncoder())
    switch = switch_to(database, SmallEncoder())
    switch.begin()
    return switch


def waits(database: Database, encoder: PromptedEncoder) -> bool:
    """Whether a worker of this model would find a row."""
    backfills = all_work(database, encoder).backfills
    return any(backfill.any_waiting() for backfill in backfills)


def states(url: str) -> list[tuple[object, ...]]:
    return run(url, "SELECT * FROM recommender.job_state ORDER BY job_id") + run(
        url, "SELECT * FROM recommender.user_state ORDER BY user_id"
    )


def embedded(url: str) -> int:
    tables = ("job_embedding", "user_embedding", "skill_embedding")
    counts = [run(url, f"SELECT count(*) FROM recommender.{name}") for name in tables]
    return sum(count for ((count,),) in counts)


def test_a_fill_changes_no_state_and_nothing_that_is_in_use(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    before = states(database_url)
    missing = filled.missing()
    assert sum(filled.fill()) == missing == embedded(database_url)
    assert filled.missing() == 0
    assert states(database_url) == before
    assert not waits(database, PaddedEncoder())


def test_a_fill_that_was_stopped_goes_on_and_embeds_nothing_twice(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    stop = threading.Event()
    encoder = SmallEncoder()
    for count in switch_to(database, encoder, stop=stop).fill():
        if count and embedded(database_url) > 90:
            stop.set()
    first = len(encoder.seen)
    again = SmallEncoder()
    missing = filled.missing()
    assert missing > 0
    switch = switch_to(database, again)
    assert sum(switch.fill()) == missing
    assert first + len(again.seen) == embedded(database_url)


def test_a_row_that_is_edited_during_the_fill_is_embedded_by_its_new_text(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    class Editor(SmallEncoder):
        def encode(
            self,
            texts: Sequence[str],
            *,
            prompt: str = "query",
        ) -> NDArray[np.float32]:
            if TEXTS[3] in texts:
                edit = "UPDATE skill_job1 SET skills = 'edited' WHERE job_id = 4"
                run(database_url, edit)
            return super().encode(texts, prompt=prompt)

    del filled
    switch = switch_to(database, Editor())
    list(switch.fill())
    stored = "SELECT count(*) FROM recommender.job_embedding WHERE job_id = 4"
    fill(database, PaddedEncoder())
    list(switch.fill())
    vector = SmallEncoder().encode(["edited"])[0].tobytes()
    assert run(database_url, stored) == [(1,)]
    assert run(
        database_url,
        "SELECT embedding = %s FROM recommender.job_embedding WHERE job_id = 4",
        (vector,),
    ) == [(True,)]
    switch.switch()
    assert not waits(database, SmallEncoder())


def test_a_row_of_a_dead_worker_is_embedded_though_its_claim_ends_during_the_pass(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    """Every worker drops expired claims, also those of others."""
    dead = "00000000-0000-0000-0000-000000000001"

    class Other(SmallEncoder):
        def encode(
            self,
            texts: Sequence[str],
            *,
            prompt: str = "query",
        ) -> NDArray[np.float32]:
            drop = "DELETE FROM recommender.claim WHERE claim_id = %s"
            run(database_url, drop, (dead,))
            return super().encode(texts, prompt=prompt)

    list(filled.fill())
    # The pass comes to job 1, which is claimed, and then to job 2.
    run(database_url, "DELETE FROM recommender.job_embedding WHERE job_id IN (1, 2)")
    run(
        database_url,
        "INSERT INTO recommender.claim (claim_id, entity, row_ids, expires_at)"
        " VALUES (%s, %s, '{1}', now() + interval '1 hour')",
        (dead, f"jobs {SmallEncoder.version}"),
    )
    switch = switch_to(database, Other())
    assert sum(switch.fill()) == 2
    assert switch.missing() == 0


def test_the_switch_leaves_those_rows_waiting_that_were_not_embedded(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    list(filled.fill())
    run(database_url, "UPDATE skill_job1 SET skills = 'late' WHERE job_id = 2")
    run(database_url, "UPDATE users SET skills = 'late' WHERE user_id = 2")
    admit(database_url)
    filled.switch()
    waiting = "SELECT {}_id FROM recommender.{}_state WHERE state <> 'embedded'"
    assert run(database_url, waiting.format("job", "job")) == [(2,)]
    assert run(database_url, waiting.format("user", "user")) == [(2,)]
    fill(database, SmallEncoder())
    assert run(database_url, waiting.format("job", "job")) == []
    assert run(database_url, waiting.format("user", "user")) == []


def test_an_edit_that_began_before_the_switch_and_ends_after_it_leaves_its_row_waiting(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    list(filled.fill())
    edit = "UPDATE skill_job1 SET skills = 'late' WHERE job_id = 1"
    lock = "SELECT FROM recommender.job_state WHERE job_id = 1 FOR UPDATE"
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with (
        closing(psycopg2.connect(database_url)) as holder,
        ThreadPoolExecutor() as editors,
    ):
        with holder, holder.cursor() as cursor:
            cursor.execute(lock)
            editing = editors.submit(run, database_url, edit)
            wait_until(lambda: run(database_url, waiting) == [(1,)])
            filled.switch()
            filled.settle()
        editing.result()
    assert waits(database, SmallEncoder())
    fill(database, SmallEncoder())
    assert filled.missing() == 0


def test_a_snapshot_is_of_one_model_from_the_commit_on(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    list(filled.fill())
    old = ModelSnapshots(database, PaddedEncoder.version)
    new = ModelSnapshots(database, SmallEncoder.version)
    with pytest.raises(ModelSwitchedError), new.snapshot(soon()) as transaction:
        Catalogue.read(transaction)
    with old.snapshot(soon()) as transaction:
        Catalogue.read(transaction)
        filled.switch()
        # Its snapshot is of before.
        assert Catalogue.read(transaction).jobs.name == "jobs"
    with pytest.raises(ModelSwitchedError), old.snapshot(soon()) as transaction:
        Catalogue.read(transaction)
    with new.snapshot(soon()) as transaction:
        assert Catalogue.read(transaction).jobs.name == "jobs"


def soon() -> Deadline:
    return Deadline.after(30)


def test_a_worker_of_the_model_before_stores_nothing_after_the_switch(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    list(filled.fill())
    run(database_url, "UPDATE skill_job1 SET skills = 'late' WHERE job_id = 2")

    class Switcher(PaddedEncoder):
        def encode(
            self,
            texts: Sequence[str],
            *,
            prompt: str = "query",
        ) -> NDArray[np.float32]:
            filled.switch()
            return super().encode(texts, prompt=prompt)

    (done,) = all_work(database, Switcher()).backfills[0].run()
    assert (done.embedded, done.changed, done.quarantined) == (0, 1, 0)
    late = "SELECT state, embedding FROM recommender.job_state JOIN skill_job1 USING"
    assert run(database_url, f"{late} (job_id) WHERE job_id = 2") == [("pending", None)]


def test_back_again_needs_the_edits_since_only(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    list(filled.fill())
    filled.switch()
    run(database_url, "UPDATE skill_job1 SET skills = 'late' WHERE job_id = 2")
    fill(database, SmallEncoder())
    encoder = PaddedEncoder()
    back = switch_to(database, encoder)
    list(back.fill())
    assert encoder.seen == ["late", "late"]
    back.switch()
    assert not waits(database, PaddedEncoder())


def test_what_is_dropped_is_of_other_models(
    database: Database, database_url: str, filled: ModelSwitch, tmp_path: Path
) -> None:
    list(filled.fill())
    query = profile_query(5, text="sql, go 3", ranking="hybrid")
    filled.switch()
    fill(database, SmallEncoder())
    ranking = ranking_over(database, SmallEncoder(), name="hybrid", folder=tmp_path)
    before = results(rank(ranking, [query]))[0].hits
    with database.snapshot(soon()) as transaction:
        jobs = Catalogue.read(transaction).jobs
    dropped = sum(drop_old(database, jobs, threading.Event()))
    assert dropped == embedded(database_url)
    for table in ("skill_job1", "recommender.user_state", "recommender.skill"):
        count = run(database_url, f"SELECT count(embedding) FROM {table}")
        assert count == [(0,)], table
    assert not waits(database, SmallEncoder())
    assert results(rank(ranking, [query]))[0].hits == before
    assert run(database_url, "SELECT version FROM recommender.model") == [
        (SmallEncoder.version,)
    ]


def test_models_that_agree_change_no_job(
    database: Database, filled: ModelSwitch
) -> None:
    list(filled.fill())
    alike = compare_models(database, PaddedEncoder.version, SmallEncoder.version)
    assert list(alike.changed) == [0] * 9
    assert "9 of 9 users keep all" in str(alike)


def test_models_that_do_not_agree_change_most(
    database: Database, database_url: str, filled: ModelSwitch
) -> None:
    class OtherEncoder(HashEncoder):
        version = "another"

        def encode(
            self,
            texts: Sequence[str],
            *,
            prompt: str = "query",  # noqa: ARG002  (the protocol's)
        ) -> NDArray[np.float32]:
            return super().encode(texts)

    del filled
    other = switch_to(database, OtherEncoder())
    other.begin()
    list(other.fill())
    found = compare_models(database, PaddedEncoder.version, "another")
    assert min(found.changed) > 0
    none = compare_models(database, PaddedEncoder.version, "unheard-of")
    assert str(none).endswith("nothing was compared.")


def test_a_switch_of_an_empty_database_is_refused_before_anything_is_written(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
    assert main(["all-MiniLM-L6-v2"]) == 2
    sentence = "No row is embedded yet: set MODEL=all-MiniLM-L6-v2"
    assert sentence in capsys.readouterr().err
    assert run(database_url, "SELECT * FROM recommender.model") == []


def test_a_model_without_files_is_named(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(ROOT / "models" / "all-MiniLM-L6-v2"))
    with closing(Database(database_url, pool_size=1)):
        assert main(["unheard-of"]) == 2
    assert "models/unheard-of/manifest.json is absent" in capsys.readouterr().err

"""generate_embeddings.py: output and exit status; as a process signals and kills."""

import os
import pty
import random
import signal
import subprocess
import sys
import termios
from functools import cache, partial

import numpy as np
import pytest

from app.encoder.reference import ReferenceEncoder
from tests.integration.backfill.script import (
    ENVIRONMENT,
    MODEL_DIR,
    count_embedded,
    finish,
    script,
    until,
)
from tests.support.embedding import run_command
from tests.support.postgres import run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.service import ROOT
from tests.support.skills import skills_of
from tests.support.waiting import be_slow

KILLS = 4
SKILLS = ["python", "sql", "cooking", "nursing", "welding", "law", "sales", "design"]


def texts(count: int) -> list[str]:
    chance = random.Random(count)
    return [
        f"{n} years of " + ", ".join(chance.sample(SKILLS, 4)) for n in range(count)
    ]


@cache
def oracle() -> ReferenceEncoder:
    return ReferenceEncoder(MODEL_DIR, device="cpu")


def assert_every_vector_is_of_its_current_text(url: str) -> None:
    rows = run(url, "SELECT skills, embedding FROM skill_job1 WHERE embedding NOTNULL")
    stored = np.array([np.frombuffer(data, "<f4") for _, data in rows])
    wanted = oracle().encode([text for text, _ in rows])
    assert np.abs(stored - wanted).max() <= 1e-6


def test_it_embeds_jobs_and_users_and_says_how_many(database_url: str) -> None:
    add_pending_jobs(database_url, texts(20))
    add_user(database_url, 1, "python")
    status, out, err = finish(database_url)
    jobs, users, jobs_left, users_left = out.splitlines()
    assert (status, err) == (0, "")
    assert jobs.startswith("20 jobs embedded in ")
    assert users.startswith("1 user embedded in ")
    assert jobs_left == "0 jobs left, 0 in quarantine."
    assert users_left == "0 users left, 0 in quarantine."
    assert_every_vector_is_of_its_current_text(database_url)


def test_a_dry_run_counts_and_writes_nothing(database_url: str) -> None:
    add_pending_jobs(database_url, texts(2))
    status, out, _ = run_command(database_url, "--dry-run")
    assert status == 1
    assert out == (
        "2 jobs would be embedded and their skills extracted.\n"
        "0 users would be embedded and their skills extracted.\n"
        "0 skills would be embedded again.\n"
    )
    assert count_embedded(database_url) == 0


def test_skill_ids_are_filled_for_the_table_that_is_named_and_unused_skills_go(
    database_url: str,
) -> None:
    add_pending_jobs(database_url, ["python, sql", "cooking"])
    add_user(database_url, 1, "law")
    assert run_command(database_url, "--what=jobs")[0] == 0
    assert skills_of(database_url) == [["python", "sql"], ["cooking"]]
    assert skills_of(database_url, "user_state", "user_id") == []
    assert run_command(database_url, "--what=users")[0] == 0
    assert skills_of(database_url, "user_state", "user_id") == [["law"]]
    run(database_url, "UPDATE skill_job1 SET skills = 'sql' WHERE job_id = 1")
    assert run_command(database_url)[0] == 0
    status, out, _ = run_command(database_url, "--prune-skills")
    assert (status, out) == (
        0,
        "1 unused skill removed.\n",
    )
    assert skills_of(database_url) == [["sql"], ["cooking"]]


def test_the_reference_encoder_prints_nothing_of_its_own(database_url: str) -> None:
    add_pending_jobs(database_url, texts(2))
    status, _, err = finish(database_url, "--encoder=sentence-transformers")
    assert (status, err) == (0, "")
    assert_every_vector_is_of_its_current_text(database_url)


def test_f68_a_refused_row_is_listed_and_retried_and_the_status_says_so(
    database_url: str,
) -> None:
    run(
        database_url,
        "ALTER TABLE skill_job1 ADD CONSTRAINT refused"
        " CHECK (job_id <> 2 OR embedding IS NULL)",
    )
    add_pending_jobs(database_url, texts(3))

    status, out, _ = run_command(database_url, "--what=jobs")
    assert status == 1
    assert "1 quarantined" in out
    assert "0 jobs left, 1 in quarantine.\n" in out
    assert count_embedded(database_url) == 2

    status, out, _ = run_command(database_url, "--failures")
    assert status == 1
    assert out.startswith("jobs 2\t20")
    assert out.endswith("\tThe database rejected a statement (SQLSTATE 23514).\n")

    run(database_url, "ALTER TABLE skill_job1 DROP CONSTRAINT refused")
    status, out, _ = run_command(database_url, "--retry-failures", "--what=jobs")
    assert status == 0
    assert out.startswith("1 row released from quarantine.\n")
    assert run_command(database_url, "--failures")[:2] == (
        0,
        "No row is in quarantine.\n",
    )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_f71_a_signal_ends_it_after_the_slice_and_it_says_how_far_it_got(
    database_url: str, number: signal.Signals, status: int
) -> None:
    add_pending_jobs(database_url, texts(3000))
    with script(database_url, "--batch-size=32") as process:
        until(lambda: count_embedded(database_url) > 0)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    embedded = count_embedded(database_url)
    assert (process.returncode, err) == (status, "")
    assert f"{embedded} jobs embedded in " in out
    assert 0 < embedded < 3000
    assert run(database_url, "SELECT * FROM recommender.claim") == []


def test_f63_killed_at_any_moment_the_next_run_goes_on(database_url: str) -> None:
    add_pending_jobs(database_url, texts(300))
    chance = random.Random()
    for number in range(KILLS):
        before = count_embedded(database_url)
        with script(database_url, "--batch-size=8", "--lease-s=1") as process:
            # Every other kill comes after some rows are stored, however slow it is.
            begun = (
                partial(claimed, database_url)
                if number % 2
                else partial(has_more, database_url, before)
            )
            until(lambda: begun() or process.poll() is not None)  # noqa: B023
            be_slow(chance.uniform(0, 0.5))
            process.kill()
            process.wait()
        assert count_embedded(database_url) >= before
    assert_every_vector_is_of_its_current_text(database_url)
    assert finish(database_url, "--lease-s=1")[0] == 0
    assert count_embedded(database_url) == 300
    assert_every_vector_is_of_its_current_text(database_url)


def has_more(url: str, before: int) -> bool:
    return count_embedded(url) > before


def claimed(url: str) -> bool:
    return bool(run(url, "SELECT 1 FROM recommender.claim WHERE expires_at > now()"))


def test_on_a_terminal_there_is_a_bar(database_url: str) -> None:
    add_pending_jobs(database_url, texts(5))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/generate_embeddings.py")],
        env=os.environ | ENVIRONMENT | {"DATABASE_URL": database_url},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        check=False,
    )
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "5/5" in shown
    assert "job/s" in shown

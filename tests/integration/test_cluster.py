"""The batch jobs on a Dask cluster, with a worker killed in each; and its errors."""

import csv
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import psycopg2
import pytest

from app.commands.recommend_all import main as recommend_all
from app.storage.codec import from_bytes
from tests.integration.backfill.script import MODEL_DIR, count_embedded, finish
from tests.support.bulk import fill_jobs, fill_users
from tests.support.dask import Process, dask_scheduler, dask_worker
from tests.support.postgres import Server, fresh_database, run
from tests.support.rows import add_pending_jobs, add_user
from tests.support.script import WITHIN_S, finished, started
from tests.support.script import Process as Command
from tests.support.service import ROOT
from tests.support.skills import skills_of
from tests.support.waiting import wait_until

USERS = 60
JOBS = 40
WAITING_FOR_JOBS = (
    "SELECT count(DISTINCT pid) FROM pg_locks"
    " WHERE NOT granted AND relation = 'skill_job1'::regclass"
)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dask_scheduler(tmp_path_factory.mktemp("dask")) as (address, _):
        yield address


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Jobs and users with embeddings, and one user with a text alone."""
    fill_jobs(database_url, 200)
    fill_users(database_url, USERS)
    add_user(database_url, 1000, "python, sql")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", str(MODEL_DIR))
    monkeypatch.setenv("SKILL_CACHE_DIR", str(tmp_path / "skills"))
    return database_url


@contextmanager
def two_workers(url: str, scheduler: str, folder: Path) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(dask_worker(scheduler, folder / name, DATABASE_URL=url))
            for name in ("one", "other")
        ]


@contextmanager
def jobs_locked(url: str, mode: str) -> Iterator[None]:
    """Keep others from the table of jobs."""
    with closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE skill_job1 IN {mode} MODE")
        yield


def until_both_wait(url: str, command: Command) -> None:
    """Until two sessions wait for the table: each worker is in its task."""

    def is_so() -> bool:
        assert command.poll() is None, command.communicate()
        return bool(run(url, WAITING_FOR_JOBS)[0][0] == 2)

    wait_until(is_so, within_s=WITHIN_S)


def test_two_workers_recommend_as_one_process_and_one_may_be_killed(
    url: str, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(url, "ALTER TABLE skill_job1 ADD remote boolean")
    run(url, "UPDATE skill_job1 SET remote = job_id % 3 = 0")
    monkeypatch.setenv("JOB_COLUMNS", "remote")
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    options = ["--top-n", "5", "--block", "4", "--filters", '{"remote": true}']
    assert recommend_all([*options, "--csv", str(here)]) == 0
    with two_workers(url, scheduler, tmp_path) as (killed, _):
        arguments = [*options, "--csv", str(there), "--scheduler", scheduler]
        with started("recommend_all.py", *arguments) as command:
            with jobs_locked(url, "ACCESS EXCLUSIVE"):
                until_both_wait(url, command)
                killed.kill()
                killed.wait(30)
            status, out, err = finished(command)
    assert status == 0, err
    assert "2 workers, 2 threads." in out
    assert f"{USERS + 1} users in " in out
    assert there.read_bytes() == here.read_bytes()
    with here.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * (USERS + 1)
    assert {int(row["job_id"]) % 3 for row in rows} == {0}


def embeddings(url: str) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    rows = run(url, "SELECT embedding FROM skill_job1 ORDER BY job_id")
    return np.array([from_bytes(bytes(data)) for (data,) in rows])


def test_two_workers_embed_as_one_process_and_one_may_be_killed(
    url: str, scheduler: str, tmp_path: Path
) -> None:
    texts = [f"python {n}, sql, welding of part {n % 7}" for n in range(JOBS)]
    run(url, "DELETE FROM skill_job1")
    add_pending_jobs(url, texts)
    status, out, err = finish(url, "--what=jobs")
    assert status == 0, out + err
    wanted, skills = embeddings(url), skills_of(url)
    run(url, "DELETE FROM skill_job1")
    add_pending_jobs(url, texts)
    options = ["--what=jobs", "--batch-size=5", "--lease-s=3"]
    with two_workers(url, scheduler, tmp_path) as (killed, _):
        arguments = [*options, "--scheduler", scheduler]
        with started("generate_embeddings.py", *arguments) as command:
            # Claims and texts are read, embeddings are not stored.
            with jobs_locked(url, "SHARE"):
                until_both_wait(url, command)
                killed.kill()
                killed.wait(30)
            status, out, err = finished(command)
    assert status == 0, out + err
    assert f"{JOBS} jobs embedded" in out
    assert skills_of(url) == skills
    # The other texts of a batch change a vector by rounding.
    assert np.allclose(embeddings(url), wanted, atol=1e-6)


def test_a_limit_holds_for_all_workers_together(
    url: str, scheduler: str, tmp_path: Path
) -> None:
    run(url, "DELETE FROM skill_job1")
    add_pending_jobs(url, [f"python {n}" for n in range(JOBS)])
    options = ["--what=jobs", "--batch-size=2", "--limit=19"]  # of two tasks and a part
    with two_workers(url, scheduler, tmp_path):
        status, out, err = finish(url, *options, "--scheduler", scheduler)
    assert status == 1, out + err
    assert "19 jobs embedded" in out
    assert count_embedded(url) == 19


def test_a_lost_scheduler_is_named_and_the_run_ends_without_it(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    options = ["--top-n", "3", "--block", "7"]
    assert recommend_all([*options, "--csv", str(here)]) == 0
    with (
        dask_scheduler(tmp_path) as (address, scheduler),
        two_workers(url, address, tmp_path),
    ):
        arguments = [*options, "--csv", str(there), "--scheduler", address]
        with (
            started("recommend_all.py", *arguments) as command,
            jobs_locked(url, "ACCESS EXCLUSIVE"),
        ):
            until_both_wait(url, command)
            scheduler.kill()
            status, _, err = finished(command)
    assert status == 2
    assert err.splitlines()[-1] == (
        f"recommend_all: The Dask scheduler at {address} was lost; start it again, then"
        " run the same command to continue."
    )
    assert recommend_all([*options, "--csv", str(there)]) == 0
    assert there.read_bytes() == here.read_bytes()


@pytest.fixture
def heard_by_children() -> Iterator[None]:
    """Ctrl-C reaches commands, even if the tests run with SIGINT ignored (`nohup`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_by_children")
def test_ctrl_c_ends_the_command_while_workers_are_busy(
    url: str, scheduler: str, tmp_path: Path
) -> None:
    with two_workers(url, scheduler, tmp_path):
        arguments = ["--to-table", "--block", "7", "--scheduler", scheduler]
        with (
            started("recommend_all.py", *arguments) as command,
            jobs_locked(url, "ACCESS EXCLUSIVE"),
        ):
            until_both_wait(url, command)
            command.send_signal(signal.SIGINT)
            status, _, err = finished(command)
    assert status == 130
    assert err == "Interrupted; run the same command to continue.\n"


def error_of(scheduler: str) -> str:
    arguments = ["--to-table", "--scheduler", scheduler]
    with started("recommend_all.py", *arguments) as command:
        status, _, err = finished(command)
    assert status == 2, err
    return err.splitlines()[-1]


def test_a_worker_needs_its_own_address_of_the_database(
    url: str, scheduler: str, tmp_path: Path
) -> None:
    with dask_worker(scheduler, tmp_path / "worker"):
        said = error_of(scheduler)
    assert said.startswith("recommend_all: Worker tcp://127.0.0.1:")
    assert "The environment is not usable: DATABASE_URL: it is required" in said


def test_a_worker_of_another_database_is_refused(
    url: str, scheduler: str, postgres: Server, tmp_path: Path
) -> None:
    with (
        fresh_database(postgres) as other,
        dask_worker(scheduler, tmp_path / "worker", DATABASE_URL=other),
    ):
        said = error_of(scheduler)
    assert said.endswith("its DATABASE_URL names another database than the command's.")


def test_a_worker_of_other_code_is_refused(
    url: str, scheduler: str, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "app", code / "app")
    with (code / "app" / "errors.py").open("a") as file:
        file.write("# Another version.\n")
    worker = tmp_path / "worker"
    with dask_worker(scheduler, worker, code=code, DATABASE_URL=url):
        said = error_of(scheduler)
    assert "it runs other code than the command; install the same version" in said


def test_a_worker_without_the_project_is_named(
    url: str,
    scheduler: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("app.commands.cluster.COUNTED_EVERY_S", 0.1)
    monkeypatch.setattr("app.commands.cluster.WORKERS_WITHIN_S", 0.1)
    worker = tmp_path / "worker"
    with dask_worker(scheduler, worker, code=tmp_path, DATABASE_URL=url):
        assert recommend_all(["--to-table", "--scheduler", scheduler]) == 2
    assert "a worker without it ends at its first task." in capsys.readouterr().err


def test_a_scheduler_without_the_project_is_named(url: str, tmp_path: Path) -> None:
    with (
        dask_scheduler(tmp_path, code=tmp_path) as (address, _),
        dask_worker(address, tmp_path / "worker", DATABASE_URL=url),
    ):
        said = error_of(address)
    assert "The Dask scheduler or a worker lacks this version of the project" in said


def test_a_scheduler_that_is_not_there_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.commands.cluster.SCHEDULER_TIMEOUT_S", 0.2)
    for address in ("tcp://127.0.0.1:1", "nonsense://host:1"):
        assert recommend_all(["--to-table", "--scheduler", address]) == 2
        assert capsys.readouterr().err == (
            f"recommend_all: No Dask scheduler answers at {address}; start one with"
            " `dask scheduler`, or correct --scheduler.\n"
        )


def test_a_scheduler_without_workers_is_named(
    url: str,
    scheduler: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("app.commands.cluster.WORKERS_WITHIN_S", 0.1)
    assert recommend_all(["--to-table", "--scheduler", scheduler]) == 2
    assert capsys.readouterr().err == (
        f"recommend_all: The Dask scheduler at {scheduler} has no workers; start some"
        f" with `dask worker {scheduler}`, and install the project for them: a worker"
        " without it ends at its first task.\n"
    )

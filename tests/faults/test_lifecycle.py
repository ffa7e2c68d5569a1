"""Start, stop and deployment: settings, signals, model files, migrations."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest

from app.commands import migrate
from app.commands.migration_files import MIGRATIONS_FOLDER
from tests.faults.conftest import (
    QUESTION,
    TIMEOUT_S,
    assert_unavailable,
    wait_for_answer,
)
from tests.support.cluster import DATABASE, Cluster
from tests.support.postgres import Server, fresh_database, run
from tests.support.proxy import Proxy
from tests.support.raw import post
from tests.support.rows import add_job
from tests.support.service import ROOT, Service, free_port, running_service
from tests.support.waiting import wait_until

MODEL = ROOT / "models" / "all-MiniLM-L6-v2"
HOST_KILLS_AFTER_S = 30.0


@pytest.fixture
def mortal(cluster: Cluster, proxy: Proxy, tmp_path: Path) -> Iterator[Service]:
    """A service that the test may stop."""
    with running_service(
        proxy.url(DATABASE), tmp_path / "log", REQUEST_TIMEOUT_S=str(TIMEOUT_S * 2)
    ) as service:
        wait_for_answer(service)
        yield service
    proxy.restore()


def test_f56_sigterm_lets_running_requests_finish(
    mortal: Service, proxy: Proxy
) -> None:
    proxy.slow(0.003)  # the scan takes more than a second
    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(mortal.recommend(**QUESTION))
    )
    begun = proxy.downstream_bytes
    asking.start()
    wait_until(lambda: proxy.downstream_bytes >= begun + 500_000)
    mortal.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    asking.join()
    assert answers[0].status_code == 200
    assert len(answers[0].json()["recommendations"]) == QUESTION["top_n"]
    mortal.process.wait(HOST_KILLS_AFTER_S)
    assert time.monotonic() - start < HOST_KILLS_AFTER_S / 2


@pytest.mark.parametrize(
    "sent",
    [
        post(b" " * 50)[:-49],
        b"POST /api/recom",
    ],
    ids=["half a body", "half a head"],
)
def test_f57_a_half_sent_request_does_not_keep_it_alive(
    mortal: Service, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", mortal.port)) as held:
        held.sendall(sent)
        wait_for_answer(mortal)  # the other connection was accepted before this one
        start = time.monotonic()
        mortal.process.send_signal(signal.SIGTERM)
        mortal.process.wait(HOST_KILLS_AFTER_S)
        assert time.monotonic() - start < HOST_KILLS_AFTER_S / 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", None),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "definitely not a connection-string"),
        ("DATABASE_URL", "postgresql://me:hush-hush@host:not-a-port/x"),
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("DB_POOL_SIZE", "0"),
        ("REQUEST_TIMEOUT_S", "-1"),
        ("LOG_LEVEL", "loud"),
        ("API_KEYS", "hush-hush"),  # shorter than a key may be
        ("CORS_ORIGINS", "example.org"),  # no scheme
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("DOCS", "perhaps"),
        ("DATABASE_URL", os.fsdecode(b"postgresql://me:hush-hush\xff@host/x")),
        ("API_KEYS", os.fsdecode(b"hush-hush-hush-hush\xff")),
        ("CACHE_DIR", os.fsdecode(b"/tmp/\xff")),
    ],
)
def test_f58_a_missing_or_malformed_setting_stops_the_start_and_is_named(
    name: str, value: str | None
) -> None:
    environment = os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    environment.pop(name, None)
    if value is not None:
        environment[name] = value
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"The environment is not usable: {name}: ")
    assert ended.stderr.count("\n") == 1
    assert "hush-hush" not in ended.stderr
    assert "definitely" not in ended.stderr


@pytest.fixture
def heeded_ctrl_c() -> Iterator[None]:
    """As in a terminal: what a shell starts in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_ctrl_c_during_the_imports_ends_the_start_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "app"],
        env=os.environ
        | {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "PORT": str(free_port())},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as starting:
        try:
            assert starting.stderr is not None
            # One line for each module that was imported.
            assert any("starlette.datastructures" in line for line in starting.stderr)
            starting.send_signal(signal.SIGINT)
            _, rest = starting.communicate(timeout=60)
        finally:
            starting.kill()
    assert starting.returncode == 128 + signal.SIGINT
    assert "Traceback" not in rest


@pytest.mark.parametrize("host", ["127.0.0.1", "no such host", "192.0.2.1", "é" * 99])
def test_f135_an_address_where_nothing_can_listen_is_named_before_anything_starts(
    host: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "app"],
            env=os.environ
            | {
                "DATABASE_URL": "postgresql://127.0.0.1:1/x",
                "HOST": host,
                "PORT": port,
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    fix = f"Port {port} on" if host == "127.0.0.1" else f"HOST {host} is not an address"
    assert ended.stderr.startswith(fix)


def test_f59_old_and_new_version_answer_side_by_side_during_a_migration(
    postgres: Server, tmp_path: Path
) -> None:
    with fresh_database(postgres, template="template1") as url:
        # The schema of the first version.
        for file in sorted(MIGRATIONS_FOLDER.glob("000*.sql")):
            run(url, file.read_text())
        add_job(url, 1, "cooking")
        with running_service(url, tmp_path / "old") as old:
            before = wait_for_answer(old).json()
            list(migrate.migrate(url))
            assert old.recommend(**QUESTION).json() == before
            with running_service(url, tmp_path / "new") as new:
                assert new.recommend(**QUESTION).json() == before
                assert old.recommend(**QUESTION).json() == before


@pytest.mark.parametrize("damage", ["absent", "corrupt"])
def test_f60_model_files_that_do_not_match_fail_requests_until_fixed(
    cluster: Cluster, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if damage == "corrupt":
        shutil.copytree(MODEL, folder, dirs_exist_ok=True)
        with (folder / "model.safetensors").open("r+b") as weights:
            weights.seek(1_000_000)
            weights.write(b"\x00\x01\x02\x03")
    with running_service(
        cluster.url, tmp_path / "log", MODEL_DIR=str(folder)
    ) as service:
        assert service.client.get("/healthz").status_code == 200
        for response in (service.recommend(**QUESTION), service.client.get("/readyz")):
            assert_unavailable(response)
            assert "python scripts/fetch_model.py" in response.json()["detail"]
        shutil.copytree(MODEL, folder, dirs_exist_ok=True)
        assert service.recommend(**QUESTION).status_code == 200


def test_f62_a_migration_killed_half_way_is_repeated(postgres: Server) -> None:
    with fresh_database(postgres, template="template1") as url:
        run(url, "CREATE TABLE skill_job1 (job_id bigint PRIMARY KEY, skills text)")
        with closing(psycopg2.connect(url)) as locker:
            with locker.cursor() as cursor:
                cursor.execute("LOCK TABLE skill_job1 IN ACCESS EXCLUSIVE MODE")
            migrating = subprocess.Popen(
                [sys.executable, str(ROOT / "scripts" / "migrate.py")],
                env=os.environ | {"DATABASE_URL": url},
                stdout=subprocess.DEVNULL,
            )
            blocked = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            wait_until(lambda: run(url, blocked) != [(0,)], within_s=30)
            migrating.kill()
            migrating.wait(30)
        assert list(migrate.migrate(url)) != []
        assert list(migrate.migrate(url)) == []
        run(url, "SELECT embedding, embedding_version FROM skill_job1")


def test_f104_sigterm_ends_a_service_that_embeds_while_the_database_is_frozen(
    cluster: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    pending = "INSERT INTO skill_job1 (job_id, skills) SELECT 900000 + n, 'a' FROM"
    run(cluster.url, f"{pending} generate_series(1, 500) AS n")
    with running_service(
        proxy.url(DATABASE), tmp_path / "log", EMBED_IN_SERVICE="true"
    ) as service:
        claims = "SELECT 1 FROM recommender.claim"
        wait_until(lambda: run(cluster.url, claims) != [])
        proxy.stall()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(HOST_KILLS_AFTER_S) in (0, -signal.SIGTERM)
    proxy.restore()
    run(cluster.url, "DELETE FROM skill_job1 WHERE skills = 'a'")

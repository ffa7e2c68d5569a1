"""`make run` without the installation: start, response, clean shutdown."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2
import pytest

from tests.support.service import ROOT, free_port
from tests.support.waiting import wait_until

READY_WITHIN_S = 120


def start(data_dir: Path, log: Path, port: int) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "PORT": str(port),
        "MODEL_DIR": str(ROOT / "models" / "all-MiniLM-L6-v2"),
    }
    environment.pop("DATABASE_URL", None)
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "scripts/run_local.py", "--data-dir", str(data_dir)],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            # A process group, as in a terminal, so that Ctrl-C reaches all processes.
            start_new_session=True,
        )


def wait_for_invitation(process: "subprocess.Popen[bytes]", log: Path) -> str:
    def invites() -> bool:
        assert process.poll() is None, log.read_text()
        return "Try:" in log.read_text()

    wait_until(invites, within_s=READY_WITHIN_S, failing=log.read_text)
    return log.read_text()


@pytest.mark.usefixtures("search_backend")
def test_f136_it_serves_the_sample_and_each_signal_stops_everything(
    tmp_path: Path,
) -> None:
    added = ["160 rows added", "0 jobs embedded", "0 jobs embedded"]
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for stop, expected in zip(stops, added, strict=True):
        port, log = free_port(), tmp_path / f"log-{stop}"
        process = start(tmp_path / "data", log, port)
        try:
            printed = wait_for_invitation(process, log)
            assert f"http://127.0.0.1:{port}/api/recommend" in printed
            assert expected in printed
            assert_it_answers(port)
            below = psutil.Process(process.pid).children(recursive=True)
        finally:
            # Ctrl-C and a closed terminal go to the whole group.
            if stop != signal.SIGTERM:
                os.killpg(process.pid, stop)
            else:
                process.send_signal(stop)
            assert process.wait(60) == 0
        assert not any(child.is_running() for child in below)
        assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()
        assert "Traceback" not in log.read_text()


def assert_it_answers(port: int) -> None:
    address = f"http://127.0.0.1:{port}/api/recommend"
    answer = httpx.post(address, json={"user_id": 1, "top_n": 3}, timeout=30).json()
    assert answer["total_jobs_analyzed"] == 160
    assert len(answer["recommendations"]) == 3
    example = httpx.post(address, json={"user_id": 1, "top_n": 1}, timeout=30).text
    assert comparable(example) == comparable(answer_of_the_readme())
    by_title = httpx.post(
        address, json={"skills": "truck driver", "top_n": 1}, timeout=30
    ).json()["recommendations"][0]
    assert [pair["job_skill"] for pair in by_title["matched"]] == ["Truck Driver"]


def answer_of_the_readme() -> str:
    return (ROOT / "README.md").read_text().split("```json\n")[1].split("```")[0]


def comparable(answer: str) -> Any:
    """The answer with rounded scores and without the cursor, which is shortened."""
    found = json.loads(answer, parse_float=lambda number: round(float(number), 4))
    return found | {"next_cursor": ...}


def test_f135_a_port_in_use_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port, log = taken.getsockname()[1], tmp_path / "log"
        process = start(tmp_path / "data", log, port)
        assert process.wait(60) == 2
    said = log.read_text()
    assert said.startswith(f"Port {port} on 127.0.0.1 is not available")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_f135_f137_a_second_run_is_refused_and_only_the_owner_may_connect(
    tmp_path: Path,
) -> None:
    # The path is too long for a socket, which then lies in a shared folder.
    data = tmp_path / ("long" * 25)
    log, second = tmp_path / "log", tmp_path / "second"
    process = start(data, log, free_port())
    try:
        wait_for_invitation(process, log)
        other = start(data, second, free_port())
        assert other.wait(60) == 2
        assert "Another `make run` uses" in second.read_text()
        assert process.poll() is None
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        assert connects(Path(lines[4]), os.geteuid())
        if os.geteuid() == 0:
            assert not connects(Path(lines[4]), NOBODY)
        assert "trust" not in (data / "postgres" / "pg_hba.conf").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


NOBODY = 65534


def connects(folder: Path, user: int) -> bool:
    """Whether this system user can connect to the database."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(user)
            psycopg2.connect(host=str(folder), user="postgres", dbname="postgres")
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0

"""`make test` on a machine with nothing but Python: skipped tests are reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT
from tests.support.tools import (
    CHROMIUM,
    NEEDS,
    Need,
    find_pgbouncer,
    install,
)

# One file for each need, and one that has none.
FILES = [
    "tests/faults/test_pgbouncer.py",
    "tests/browser/test_access.py",
    "tests/faults/test_framing.py::test_f123_the_stock_client_of_java_posts",
    "tests/integration/test_typescript_client.py::test_it_is_built_and_answered_by_a_running_service",
    "tests/integration/test_debian_postgres.py",
    "tests/acceptance/test_oracle.py",
    "tests/unit/test_samples.py",
]


def run_on_a_bare_machine(
    folder: Path, *options: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run the tests with an empty PATH, without a browser and real data."""
    (folder / "bin").mkdir()
    hidden = {"PATH": str(folder / "bin"), "PLAYWRIGHT_BROWSERS_PATH": str(folder)}
    left = {n: v for n, v in os.environ.items() if n not in ("CI", "REAL_DATA_DIR")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, *FILES],
        cwd=ROOT,
        env=left | hidden | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_tests_without_their_tools_are_skipped_and_counted(tmp_path: Path) -> None:
    ended = run_on_a_bare_machine(tmp_path)
    assert ended.returncode == 0, ended.stdout
    (line,) = [each for each in ended.stdout.splitlines() if "NOT TESTED" in each]
    assert line in ended.stdout.splitlines()[-2:]
    for need in NEEDS:
        assert f"without {need.name} ({need.remedy}): " in line
    assert " failed" not in ended.stdout
    assert " error" not in ended.stdout


def test_ci_leaves_nothing_out(tmp_path: Path) -> None:
    ended = run_on_a_bare_machine(tmp_path, CI="true")
    assert ended.returncode == 1
    assert "NOT TESTED" not in ended.stdout
    for need in NEEDS:
        assert f"{need.name} is missing, and CI leaves nothing out" in ended.stdout
    assert " skipped" not in ended.stdout


def test_a_failed_installation_is_reported(tmp_path: Path) -> None:
    # No apt-get is on this PATH, and what Playwright downloads is not to be had.
    nowhere = "http://127.0.0.1:1"
    ended = run_on_a_bare_machine(
        tmp_path, "--install", PLAYWRIGHT_DOWNLOAD_HOST=nowhere
    )
    assert ended.returncode == 0, ended.stdout
    assert "Installing Chromium: " in ended.stdout
    assert "NOT TESTED: " in ended.stdout


def test_each_way_is_tried_until_one_succeeds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "program"
    need = Need(
        fixture="program",
        name="Program",
        remedy="",
        find=lambda: program if program.exists() else None,
        installs=lambda: iter([["false"], ["touch", str(program)], ["false", "third"]]),
    )
    install(need)
    assert capfd.readouterr().out == (
        f"Installing Program: false\nInstalling Program: touch {program}\n"
    )


def test_a_program_beside_the_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "sbin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_pgbouncer() is None
    program = tmp_path / "sbin" / "pgbouncer"
    program.touch(0o755)
    assert find_pgbouncer() == program


@pytest.mark.parametrize("name", ["chromium", "chromium-headless-shell"])
def test_a_browser_that_cannot_start_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\necho libnss3.so: not found >&2; false")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert CHROMIUM.find() is None
    program.write_text("#!/bin/sh\n")
    assert CHROMIUM.find() == program

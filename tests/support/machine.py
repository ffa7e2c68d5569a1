"""Fixtures of the tools that tests need: found, installed by `--install`, or skipped.

With CI set, a missing tool is an error. Otherwise the tests that need it are skipped,
and the last lines of the run list them.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.alone import lock_file, locked
from tests.support.tools import (
    CHROMIUM,
    DEBIAN_POSTGRES,
    JAVA,
    NEEDS,
    NODE,
    PGBOUNCER,
    REAL_DATA,
    Need,
    install,
)

NOT_TESTED = "NOT TESTED: "


def demand(need: Need) -> Path:
    """The path of the tool. Without it, the test is skipped."""
    return need.find() or leave_out(need.name, remedy=need.remedy)


def leave_out(name: str, *, remedy: str) -> NoReturn:
    """Skip a test because of a missing tool."""
    if "CI" in os.environ:
        pytest.fail(f"{name} is missing, and CI leaves nothing out: {remedy}")
    pytest.skip(f"{NOT_TESTED}without {name} ({remedy})")


@pytest.fixture(scope="session")
def pgbouncer() -> Path:
    """The path of PgBouncer."""
    return demand(PGBOUNCER)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The path of Chromium."""
    return demand(CHROMIUM)


@pytest.fixture(scope="session")
def java() -> Path:
    """The path of the JDK."""
    return demand(JAVA)


@pytest.fixture(scope="session")
def node() -> Path:
    """The path of Node."""
    return demand(NODE)


@pytest.fixture(scope="session")
def debian_postgres() -> Path:
    """The folder of the programs of Debian's PostgreSQL."""
    return demand(DEBIAN_POSTGRES)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data."""
    return demand(REAL_DATA)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--install",
        action="store_true",
        help="install what the chosen tests need of the machine, where it can",
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.install or session.config.option.collectonly:
        return
    fixtures = {name for item in session.items for name in fixtures_of(item)}
    with locked(lock_file(session.config, "install")):
        for need in NEEDS:
            if need.fixture in fixtures and need.find() is None:
                install(need)


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    ]
    left_out = Counter(
        reason.removeprefix(NOT_TESTED)
        for reason in reasons
        if reason.startswith(NOT_TESTED)
    )
    if left_out:
        parts = (f"{what}: {count} tests" for what, count in left_out.items())
        terminalreporter.ensure_newline()
        terminalreporter.write_line(
            f"{NOT_TESTED}{'; '.join(parts)}.", yellow=True, bold=True
        )

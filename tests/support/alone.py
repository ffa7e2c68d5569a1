"""What the workers of one run (pytest-xdist) share: the machine, and folders.

`@pytest.mark.alone` is for a test that measures time: no other worker runs a test
beside it. Such a test holds the gate while it waits for the running tests, so that no
other test starts before it.
"""

import fcntl
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest


def lock_file(config: pytest.Config, name: str) -> Path | None:
    """A file that all workers of this run share; None without workers."""
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return None
    return Path(tempfile.gettempdir()) / f"pytest-{worker['testrunuid']}-{name}"


@contextmanager
def locked(path: Path | None, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Hold the lock of a file. Without a file there is nobody to exclude."""
    if path is None:
        yield
        return
    with path.open("a") as file:
        fcntl.flock(file, operation)
        yield


@contextmanager
def turn(config: pytest.Config, *, alone: bool) -> Iterator[None]:
    """Share the machine with other tests, or have it alone."""
    operation = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with ExitStack() as stack:
        with locked(lock_file(config, "gate")):
            stack.enter_context(locked(lock_file(config, "running"), operation))
        yield


def made_once(
    config: pytest.Config,
    factory: pytest.TempPathFactory,
    name: str,
    make: Callable[[Path], None],
) -> Path:
    """A folder that the first worker makes, and the others of this run use."""
    base = factory.getbasetemp()
    folder = (base.parent if hasattr(config, "workerinput") else base) / name
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            make(folder)
    return folder


# First, so that the wait does not count towards the test's time-out.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    alone = item.get_closest_marker("alone") is not None
    with turn(item.config, alone=alone):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # A worker ends when no file of tests is left, so there is nobody to exclude.
    for name in ("gate", "running", "install"):
        if path := lock_file(session.config, name):
            path.unlink(missing_ok=True)

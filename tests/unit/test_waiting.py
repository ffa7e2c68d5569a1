"""Tests wait for conditions; none sleeps and hopes."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.service import ROOT
from tests.support.waiting import wait_until

TESTS = ROOT / "tests"
# Pictures are no tests: they wait until a chart has some points.
ALLOWED = {"support/waiting.py", "browser/screenshots.py"}


def sleeps() -> Iterator[str]:
    for path in sorted(TESTS.rglob("*.py")):
        file = path.relative_to(TESTS).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_sleep(node) and file not in ALLOWED:
                yield f"{file}:{node.lineno}"


def is_sleep(call: ast.Call) -> bool:
    """A turn of the event loop is none."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name in ("sleep", "wait_for_timeout") and ast.unparse(call.args[0]) != "0"


def test_no_test_sleeps() -> None:
    assert list(sleeps()) == [], "use tests.support.waiting"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("time.sleep(1)", True),
        ("asyncio.sleep(0.1)", True),
        ("page.wait_for_timeout(100)", True),
        ("asyncio.sleep(0)", False),
        ("transaction.rows('SELECT pg_sleep(1)')", False),
    ],
)
def test_what_counts_as_a_sleep(code: str, *, expected: bool) -> None:
    (call,) = (n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call))
    assert is_sleep(call) is expected


def test_a_condition_that_holds_is_not_waited_for() -> None:
    wait_until(lambda: True, within_s=-1)


def test_a_condition_is_asked_until_it_holds() -> None:
    answers = iter([False, False, True])
    wait_until(lambda: next(answers))
    assert list(answers) == []


def test_what_never_comes_is_said() -> None:
    with pytest.raises(TimeoutError, match="no sign of it"):
        wait_until(lambda: False, within_s=0, failing=lambda: "no sign of it")

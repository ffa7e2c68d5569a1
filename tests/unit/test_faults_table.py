"""The table of faults in `tests/README.md` matches the tests."""

import ast
import re
from collections.abc import Iterator

from tests.support.service import ROOT

TESTS = ROOT / "tests"
README = TESTS / "README.md"
ALL = range(1, 138)
# The tests of the others come one by one.
TESTED = range(1, 81)
NUMBERED = re.compile(r"test_(?:[a-z]+_)?f\d+")
# "f1_to_f12" is a range.
RANGE = re.compile(r"f(\d+)_to_f(\d+)")
NUMBER = re.compile(r"(?<![a-z0-9])f(\d+)(?![a-z0-9])")
HEAD = "| fault | expected behaviour | files (tests) |\n| --- | --- | --- |\n"
ROW = re.compile(r"^\| F(\d+) \| (.*) \| (.*) \|$", re.MULTILINE)
# Not more words than a reader takes in at a glance, and one sentence.
SENTENCE = re.compile(r"[A-Z\d`][^|]{15,110}[^.|]\.")


def faults_and_tests() -> Iterator[tuple[int, str, str]]:
    """(number, file, function) of each test whose name holds a fault's number."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and NUMBERED.match(node.name):
                file = path.relative_to(TESTS).as_posix()
                for number in numbers_in(node.name):
                    yield number, file, node.name


def numbers_in(name: str) -> set[int]:
    """The faults that a test's name holds.

    >>> sorted(numbers_in("test_f1_to_f3_and_f7_are_refused"))
    [1, 2, 3, 7]
    """
    spaced = name.replace("_", " ")
    ranged = {
        number
        for first, last in RANGE.findall(name)
        for number in range(int(first), int(last) + 1)
    }
    return ranged | {int(number) for number in NUMBER.findall(spaced)}


def expected_rows() -> dict[int, str]:
    """What the table must say: the files that hold each fault's tests."""
    files: dict[int, dict[str, int]] = {}
    for number, file, _ in faults_and_tests():
        counts = files.setdefault(number, {})
        counts[file] = counts.get(file, 0) + 1
    return {
        number: ", ".join(f"`{file}` ({count})" for file, count in found.items())
        for number, found in sorted(files.items())
    }


def test_every_fault_has_a_test() -> None:
    tested = {number for number, _, _ in faults_and_tests()}
    assert set(TESTED) <= tested <= set(ALL)


def rows() -> list[tuple[int, str, str]]:
    """(number, sentence, files) of each row of the table."""
    return [(int(n), *cells) for n, *cells in ROW.findall(README.read_text())]


def test_the_table_names_the_files_that_hold_the_tests() -> None:
    # To renew it: python -m tests.unit.test_faults_table
    table = [(number, files) for number, _, files in rows()]
    assert table == list(expected_rows().items())


def test_the_table_says_in_a_sentence_of_its_own_what_each_fault_is() -> None:
    sentences = {number: sentence for number, sentence, _ in rows()}
    unclear = [n for n, said in sentences.items() if not SENTENCE.fullmatch(said)]
    assert not unclear, (
        f"tests/README.md: say in a sentence what is right for {unclear}"
    )
    assert len(set(sentences.values())) == len(sentences)


def renew_table() -> None:
    """Write the rows anew; a sentence that stands there stays, a new row has none."""
    said = {number: sentence for number, sentence, _ in rows()}
    head, _, _ = README.read_text().partition(HEAD)
    new = (f"| F{n} | {said.get(n, '')} | {f} |\n" for n, f in expected_rows().items())
    README.write_text(head + HEAD + "".join(new))


if __name__ == "__main__":
    renew_table()

"""Large integers in JSON, and numbers of things in sentences."""

import ast
import re
from collections.abc import Iterator

import pytest

from app.query.numbers import counted, exact
from tests.support.service import ROOT

THINGS = re.compile(
    r" (?:(?!with |of )[a-z]+ )?(?:answers|candidates|embeddings|events|jobs|questions"
    r"|rows|seconds|skills|synonyms|texts|threads|users|vectors|workers)\b"
)
# No numbers, or numbers of more than one thing.
OTHERS = frozenset(
    {
        "config.position_embedding_type",
        "had",
        "len(rows)",
        "len(self.changed)",
        "table.name",
        "where",
    }
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, 0),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**53) + 1, -(2**53) + 1),
        (-(2**53), "-9007199254740992"),
        (0.1, 0.1),
        (1e300, 1e300),
        ("a", "a"),
        (None, None),
        (["a"], ["a"]),
    ],
)
def test_only_an_integer_that_is_not_safe_becomes_a_string(
    value: object, shown: object
) -> None:
    assert exact(value) == shown
    assert type(exact(value)) is type(shown)


@pytest.mark.parametrize(
    ("number", "things", "verb", "said"),
    [
        (0, "jobs", "", "0 jobs"),
        (1, "unused skills", "", "1 unused skill"),
        (2, "rows", "have", "2 rows have"),
        (1, "rows", "have", "1 row has"),
        (1, "jobs", "lie", "1 job lies"),
    ],
)
def test_one_thing_is_singular(number: int, things: str, verb: str, said: str) -> None:
    assert counted(number, things, verb) == said


def uncounted() -> Iterator[str]:
    """Each number in a sentence of the app that a plural follows."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                for number, text in zip(node.values, node.values[1:], strict=False):
                    if (
                        isinstance(number, ast.FormattedValue)
                        and isinstance(text, ast.Constant)
                        and THINGS.match(str(text.value))
                    ):
                        yield f"{path.name}: {ast.unparse(number.value)}"


def test_sentences_count_things_in_the_singular_too() -> None:
    wrong = [
        each
        for each in uncounted()
        if not each.endswith(tuple(f": {other}" for other in OTHERS))
        and not each.split(": ")[1].isupper()
        and "counted(" not in each
    ]
    assert wrong == []

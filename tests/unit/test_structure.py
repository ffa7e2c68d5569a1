"""Unique public names, and limits of the size of modules and functions."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.service import ROOT
from tests.unit.test_imports import APP, LAYERS, MODULES, name_of

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 45
MAX_FOLDER_ENTRIES = 17
MAX_LAYERS = 9

# Names that two modules define, and why.
ALLOWED_TWICE = {
    "QUERIES": "each module of storage loads the .sql file beside it under this name",
}


def public_names(module: ast.Module) -> Iterator[str]:
    """The classes, type variables, aliases and constants that a module defines."""
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [name for target in node.targets for name in _bound(target)]
        elif isinstance(node, ast.AnnAssign):
            names = list(_bound(node.target))
        else:
            continue
        # Loggers and other variables in lower case are each module's own.
        yield from (name for name in names if name[0].isupper())


def _bound(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def long_functions(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def defined_by() -> Mapping[str, frozenset[str]]:
    """The modules, without `app.`, by each public name."""
    modules = defaultdict(set)
    for path in MODULES:
        for name in public_names(ast.parse(path.read_text())):
            modules[name].add(name_of(path).removeprefix("app."))
    return {name: frozenset(where) for name, where in modules.items()}


def defined_twice() -> Mapping[str, frozenset[str]]:
    return {name: where for name, where in defined_by().items() if len(where) > 1}


def test_no_two_modules_define_one_public_name() -> None:
    new = {name: sorted(where) for name, where in defined_twice().items()}
    for name in ALLOWED_TWICE:
        new.pop(name, None)
    assert not new, "rename one of them, or let one module import it from the other"


def test_what_is_defined_once_is_not_listed() -> None:
    assert ALLOWED_TWICE.keys() <= defined_twice().keys(), (
        "take it out of ALLOWED_TWICE"
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_and_its_functions_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert not list(long_functions(ast.parse(text)))


def test_the_house_has_few_doors_and_few_floors() -> None:
    entries = {path.name for path in APP.iterdir()} - {"__pycache__", "__init__.py"}
    assert len(entries) <= MAX_FOLDER_ENTRIES, sorted(entries)
    assert len(LAYERS) <= MAX_LAYERS
    assert APP.parent == ROOT


def test_definitions_of_every_kind_are_found() -> None:
    source = """
import X
from a import Y
T = TypeVar("T")
A, _B = C = 1, 2
D: int = 3
Alias = int | str
log = 4
class E:
    F = 5
def G(): H = 6
"""
    assert list(public_names(ast.parse(source))) == ["T", "A", "C", "D", "Alias", "E"]


def test_the_last_line_of_a_function_counts() -> None:
    for body, is_long in ((44, False), (45, True)):
        source = "async def f() -> None:\n" + "    x = 1\n" * body
        assert bool(list(long_functions(ast.parse(source)))) == is_long

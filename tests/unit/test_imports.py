"""The direction of imports, and where HTTP, the driver and the environment are used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ROOT

APP = ROOT / "app"

# From the edge inwards: a module imports from its own layer or from those below it.
LAYERS = (
    ("app.__main__", "app.main", "app.commands"),
    ("app.api",),
    ("app.services",),
    ("app.ops",),
    ("app.backfill",),
    ("app.ranking",),
    ("app.encoder", "app.batching"),
    ("app.storage",),
    (
        "app.query",
        "app.deadline",
        "app.errors",
        "app.config",
        "app.process",
    ),
)
HTTP = ("fastapi", "starlette", "uvicorn")
MODULES = sorted(APP.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their module in full"
            yield str(node.module)


def layer_of(module: str) -> int | None:
    for number, names in enumerate(LAYERS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    return None


def is_of(module: str, packages: tuple[str, ...]) -> bool:
    return module.partition(".")[0] in packages


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_inwards(path: Path) -> None:
    module = name_of(path)
    if module == "app":
        return  # it holds the version only
    layer = layer_of(module)
    assert layer is not None, f"say in LAYERS where {module} belongs"
    for other in imported_by(path):
        if other.startswith("app."):
            found = layer_of(other)
            assert found is not None, other
            assert found >= layer, f"{module} imports {other}, which lies further out"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_edge_knows_http_and_only_storage_knows_the_driver(
    path: Path,
) -> None:
    module = name_of(path)
    edge = module in ("app.main", "app.__main__") or module.startswith("app.api")
    for other in imported_by(path):
        assert edge or not is_of(other, HTTP), f"{module} imports {other}"
        driver = module.startswith(("app.storage", "app.commands"))
        assert driver or not is_of(other, ("psycopg2",)), f"{module} imports {other}"
        assert other != "scripts"


def test_only_the_commands_of_a_cluster_know_dask() -> None:
    """The web process never imports them: no layer below the commands does."""
    knowing = {
        name_of(path)
        for path in MODULES
        for other in imported_by(path)
        if is_of(other, ("dask", "distributed", "tornado"))
    }
    assert knowing == {"app.commands.cluster", "app.commands.cluster_worker"}
    web = [path for path in MODULES if not name_of(path).startswith("app.commands")]
    assert not [
        name_of(path)
        for path in web
        for other in imported_by(path)
        if other.startswith("app.commands")
    ]


def test_the_drivers_errors_are_caught_in_one_module() -> None:
    catching = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and node.type
        and "psycopg2" in ast.unparse(node.type)
    }
    # Some commands work outside of the pool, on connections of their own.
    assert catching == {
        "app.storage.connection.database",
        "app.commands.build_vector_index",
        "app.commands.migrate",
        "app.commands.shards.command",
        "app.commands.shards.session",
        "app.commands.shards.shard",
    }


def test_settings_are_read_in_one_module() -> None:
    reading = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # app.process and the first import of some commands write two variables that
    # libraries read when they are loaded; run_local hands its own on, and the fetch of
    # the model hands them to pip.
    assert reading <= {
        "app.config",
        "app.process",
        "app.commands.blas_threads",
        "app.commands.fetch_model.sources",
        "app.commands.one_blas_thread",
        "app.commands.run_local",
    }

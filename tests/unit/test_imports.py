"""The direction of imports, and what the web process must never load."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ROOT, free_port

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
    ("app.query", "app.deadline", "app.errors", "app.config", "app.process"),
)
HTTP = ("fastapi", "starlette", "uvicorn")
HEAVY = (
    "torch", "transformers", "sentence_transformers", "sklearn", "scipy", "pandas",
    "onnxruntime",
)  # fmt: skip
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
        assert module.startswith("app.storage") or not is_of(other, ("psycopg2",))
        assert other != "scripts"


def test_the_drivers_errors_are_caught_in_one_module() -> None:
    catching = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and node.type
        and "psycopg2" in ast.unparse(node.type)
    }
    assert catching == {"app.storage.connection.database"}


def test_settings_are_read_in_one_module() -> None:
    reading = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    # app.process writes two variables that libraries read when they are loaded.
    assert reading <= {"app.config", "app.process"}


# The service, and a request to it from a thread of the same process; then the
# modules it has loaded.
PROBE = """
import sys, threading, time, urllib.error, urllib.request, os, signal
def probe():
    base = "http://127.0.0.1:" + os.environ["PORT"]
    for _ in range(3000):
        try:
            urllib.request.urlopen(base + "/healthz").read()
            break
        except OSError:
            time.sleep(0.01)
    asked = urllib.request.Request(
        base + "/api/recommend",
        data=b'{"skills": "python"}',
        headers={"Content-Type": "application/json"},
    )
    status = urllib.request.urlopen(asked).status
    urllib.request.urlopen(base + "/metrics").read()
    print("STATUS", status)
    print("MODULES", *sorted({name.partition(".")[0] for name in sys.modules}))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=probe, daemon=True).start()
from app.__main__ import main
sys.exit(main())
"""


def test_a_service_that_answered_has_loaded_nothing_heavy(database_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database_url, "PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = dict(
        line.split(" ", 1)
        for line in ended.stdout.splitlines()
        if line.startswith(("STATUS", "MODULES"))
    )
    assert lines["STATUS"] == "200", ended.stderr
    loaded = set(lines["MODULES"].split())
    assert {"numpy", "tokenizers", "psycopg2", "fastapi"} <= loaded
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint({"pytest", "httpx", "hypothesis", "yoyo"})

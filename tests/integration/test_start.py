"""What the process does at its start, and what it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands.embed import main as generate_embeddings
from tests.support.doctor import MODEL_DIR
from tests.support.rows import add_pending_jobs
from tests.support.service import ROOT, free_port

HEAVY = (
    "torch", "transformers", "sentence_transformers", "sklearn", "scipy", "pandas",
    "onnxruntime",
)  # fmt: skip

# Each has its reason, its memory and its time: a start imports no other package.
PACKAGES = frozenset({
    "annotated_doc", "annotated_types", "anyio", "app", "click", "cython_runtime",
    "fastapi", "httptools", "numpy", "opentelemetry", "prometheus_client", "psycopg2",
    "pydantic", "pydantic_core", "starlette", "typing_extensions",
    "typing_inspection", "uvicorn",
})  # fmt: skip

# Not every service needs them.
ON_DEMAND = (
    "app.backfill", "app.commands", "app.encoder.numpy_encoder", "app.encoder.tokens",
    "app.ops.doctor", "app.ranking.hybrid", "app.ranking.retrieval.pgvector",
    "app.ranking.retrieval.replica", "app.ranking.skills.parse",
    "app.ranking.skills.ranker", "app.ranking.skills.vocabulary", "app.storage.claims",
    "dotenv", "numpy.ma", "numpy.random", "opentelemetry.sdk",
)  # fmt: skip

WIRED = """
from app.config import Settings, read_settings
from app.process import defer_model_build

with defer_model_build():
    from app.api.application import create_app
    app = create_app(read_settings(Settings))
"""


def printed_by(code: str, **variables: str) -> str:
    environment = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", **variables}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def test_nothing_is_built_before_a_request_needs_it() -> None:
    models = "from fastapi.openapi.models import OpenAPI as Document\n"
    complete = "print(Document.__pydantic_complete__)"
    assert printed_by(WIRED + models + complete) == "False\n"
    assert printed_by("import fastapi\n" + models + complete) == "True\n"


def test_a_start_imports_what_every_service_needs_and_nothing_else() -> None:
    modules = "import sys\nprint(*sys.modules)"
    before = printed_by(modules).split()
    started = "import uvicorn, app.__main__, app.api.http_protocol\n"
    names = set(printed_by(WIRED + started + modules).split()) - set(before)
    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    assert {name for name in packages if not name.startswith("_")} == PACKAGES
    assert not [
        name for name in sorted(names) for each in ON_DEMAND
        if f"{name}.".startswith(f"{each}.")
    ]  # fmt: skip


def test_models_built_late_warn_of_nothing() -> None:
    code = "import warnings\nwarnings.simplefilter('error')\n" + WIRED
    assert "/api/recommend" in printed_by(code + "print(app.openapi())")


def test_models_built_late_make_the_same_document() -> None:
    in_haste = printed_by(WIRED + "print(app.openapi())")
    import_only = WIRED.replace("with defer_model_build()", "if True")
    assert in_haste == printed_by(import_only + "print(app.openapi())")
    assert "/api/recommend" in in_haste


def test_garbage_is_collected_again_and_models_are_built_at_once_again() -> None:
    check = (
        "import gc, pydantic\n"
        "class Later(pydantic.BaseModel):\n"
        "    text: str\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000,"
        " Later.__pydantic_complete__)"
    )
    assert printed_by(WIRED + check) == "True True True\n"


def test_exporters_of_the_environment_get_no_requests() -> None:
    """FastAPI would pass bodies to any registered provider."""
    code = (
        "from fastapi import FastAPI\n"
        "from fastapi.testclient import TestClient\n"
        "from opentelemetry import trace\n"
        "class Provider(trace.TracerProvider):\n"
        "    def get_tracer(self, *args, **kwargs):\n"
        "        print('traced')\n"
        "        return trace.NoOpTracer()\n"
        "trace.set_tracer_provider(Provider())\n"
        "plain = FastAPI()\n"
        "plain.get('/healthz')(lambda: None)\n"
        "TestClient({app}).get('/healthz').raise_for_status()\n"
    )
    assert "traced" in printed_by(WIRED + code.format(app="plain"))
    assert printed_by(WIRED + code.format(app="app")) == ""


def test_dotenv_is_imported_only_with_a_file_of_settings(
    tmp_path: Path,
) -> None:
    code = "import sys\nimport app.main\nprint('dotenv' in sys.modules)"
    assert printed_by(code) == "False\n"
    (tmp_path / ".env").write_text("MAX_TOP_N=5\n")
    assert printed_by(code, ENV_FILE=str(tmp_path / ".env")) == "True\n"


def test_a_module_level_app_has_loaded_and_connected_to_nothing() -> None:
    code = (
        "import socket\n"
        "socket.socket.connect = None\n"
        "from app.main import app\n"
        "import psutil, os\n"
        "process = psutil.Process()\n"
        "print(type(app).__name__, process.net_connections(),"
        " any('model.safetensors' in f.path for f in process.memory_maps()),"
        " os.environ['OPENBLAS_NUM_THREADS'], os.environ['TOKENIZERS_PARALLELISM'])"
    )
    assert printed_by(code) == "FastAPI [] False 1 false\n"


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
    print("MODULES", *sorted(sys.modules))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=probe, daemon=True).start()
from app.__main__ import main
sys.exit(main())
"""


def test_a_service_that_answered_has_loaded_nothing_heavy(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MODEL_DIR", MODEL_DIR)
    add_pending_jobs(database_url, ["python, sql", "welding", "python, go"])
    assert generate_embeddings([]) == 0
    ended = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=ROOT,
        env=os.environ | {"PORT": str(free_port()), "RANK_BY": "hybrid"},
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
    names = set(lines["MODULES"].split())
    assert "numpy.ma" not in names
    loaded = {name.partition(".")[0] for name in names}
    assert {"numpy", "tokenizers", "psycopg2", "fastapi"} <= loaded
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint({"pytest", "httpx", "hypothesis", "fastapi_offline"})

"""Deployment files: the blueprint, the lock file, an empty environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Settings
from tests.support.bulk import fill_jobs
from tests.support.service import ROOT, running_service

# The fields of https://render.com/docs/blueprint-spec for these types, as Render's own
# plugins list them (render-oss, skills/render-blueprints/references/field-reference.md,
# September 2026). Render rejects any other.
COMMON = {
    "type", "name", "runtime", "plan", "region", "branch", "rootDir", "buildCommand",
    "startCommand", "autoDeployTrigger", "envVars", "buildFilter", "previews",
}  # fmt: skip
SERVER = {
    "preDeployCommand", "numInstances", "scaling", "disk", "maxShutdownDelaySeconds",
}  # fmt: skip
FIELDS = {
    "web": COMMON | SERVER | {"healthCheckPath", "domains"},
    "worker": COMMON | SERVER,
    "cron": COMMON | {"schedule"},
}
REQUIRED = {
    "web": {"type", "name", "runtime"},
    "worker": {"type", "name", "runtime"},
    "cron": {"type", "name", "runtime", "schedule"},
}
ENV_VAR = {"key", "value", "sync", "generateValue", "fromDatabase", "fromService",
           "fromGroup"}  # fmt: skip
TOP = {"services", "databases", "envVarGroups", "projects", "previews"}
TRIGGERS = {"off", "commit", "checksPass"}
SECRETS = {"DATABASE_URL", "API_KEYS"}

BLUEPRINT: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())
SERVICES: list[dict[str, Any]] = BLUEPRINT["services"]
WEB = next(service for service in SERVICES if service["type"] == "web")


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: str(each["name"]))
def test_f61_the_blueprint_holds_only_fields_that_render_knows(
    service: dict[str, Any],
) -> None:
    assert BLUEPRINT.keys() <= TOP
    kind = service["type"]
    assert service.keys() <= FIELDS[kind]
    assert service.keys() >= REQUIRED[kind]
    assert service["autoDeployTrigger"] in TRIGGERS
    # Without a workflow there is no check, and Render would never deploy.
    assert any((ROOT / ".github/workflows").glob("*.yml"))
    assert (service["runtime"], service["plan"]) == ("python", "starter")
    for variable in service["envVars"]:
        assert variable.keys() <= ENV_VAR
        if variable["key"] in SECRETS:
            assert variable == {"key": variable["key"], "sync": False}
        else:
            assert isinstance(variable["value"], str)


def test_f61_the_web_service_is_checked_started_and_stopped_as_it_needs() -> None:
    variables = {each["key"]: each.get("value") for each in WEB["envVars"]}
    assert variables["HOST"] == "0.0.0.0"  # noqa: S104  (the host routes to it)
    assert re.fullmatch(r"3\.\d+\.\d+", variables["PYTHON_VERSION"])
    known = {name.upper() for name in Settings.model_fields} | {"PYTHON_VERSION"}
    assert variables.keys() <= known
    assert WEB["healthCheckPath"] == "/healthz"
    assert 25 <= WEB["maxShutdownDelaySeconds"] <= 300


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: str(each["name"]))
def test_f61_every_command_of_the_blueprint_names_files_that_exist(
    service: dict[str, Any],
) -> None:
    commands = " ".join(
        service.get(name, "")
        for name in ("buildCommand", "preDeployCommand", "startCommand")
    )
    named = re.findall(r"[\w/.-]+\.(?:py|txt|lock)\b", commands)
    assert len(named) >= 2
    for name in named:
        assert (ROOT / name).is_file(), name
    # A build that cannot verify the model must not be deployed.
    assert service["buildCommand"].endswith("&& python scripts/fetch_model.py")
    if service is WEB:
        assert "&& python -m compileall -q app &&" in service["buildCommand"]


def test_f60_a_build_without_a_sound_model_fails(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "vocab.txt"):
        (folder / name).write_bytes(b"not the model")
    target = tmp_path / "target"
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts/fetch_model.py"), "--from", str(folder)],
        env=os.environ
        | {
            "MODEL_DIR": str(target),
            # No other source may come to its help.
            "HF_ENDPOINT": "http://127.0.0.1:1",
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stderr != ""
    assert list(target.rglob("*.safetensors")) == []


def test_the_serving_set_alone_serves_a_request(
    database_url: str, serving_set: Path, tmp_path: Path
) -> None:
    python = str(serving_set / "bin" / "python")
    fill_jobs(database_url, 20)
    with running_service(database_url, tmp_path / "log", python=python) as service:
        response = service.recommend(skills="python", top_n=3)
        assert response.status_code == 200
        assert len(response.json()["recommendations"]) == 3
    pip = [sys.executable, "-m", "pip", "--python", python]
    listed = subprocess.run(
        [*pip, "list", "--format", "json"], check=True, capture_output=True, text=True
    )
    names = {package["name"].lower() for package in json.loads(listed.stdout)}
    assert names.isdisjoint({"torch", "onnxruntime", "scikit-learn", "pytest"})
    size_mb = _megabytes(serving_set / "lib")
    print(f"{size_mb:.0f} MB, {len(names)} packages")
    assert size_mb < 190  # without pip and most compiled modules, which take 56 MB


def _megabytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files) / 2**20

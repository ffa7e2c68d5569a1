"""The image and the files of GitHub: linters, and the image's steps in a plain folder.

No container engine runs here: that the image builds is what this cannot show.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from app.config import Settings
from tests.support.bulk import fill_jobs
from tests.support.service import ROOT, running_service

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
BIN = Path(sys.executable).parent

SCHEMAS = {
    "compose.yaml": "compose-spec",
    ".github/dependabot.yml": "dependabot",
    ".github/workflows/ci.yml": "github-workflows",
    ".github/ISSUE_TEMPLATE/bug.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/idea.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
}


def instructions() -> Sequence[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined."""
    text = re.sub(r"^ *#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    pairs = (line.partition(" ") for line in text.splitlines() if line)
    return [(name, rest) for name, _, rest in pairs]


def lint(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    ended = lint("hadolint", "Dockerfile")
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", SCHEMAS)
def test_files_fit_their_schemas(name: str) -> None:
    schema = f"vendor.{SCHEMAS[name]}"
    ended = lint("check-jsonschema", "--builtin-schema", schema, name)
    assert ended.returncode == 0, ended.stdout


def test_the_image_is_small_not_root_and_stops_as_the_service_needs() -> None:
    found = dict(instructions())
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert found["USER"] == "10001"
    assert "slim" in found["FROM"]
    known = {name.upper() for name in Settings.model_fields}
    set_ = {pair.partition("=")[0] for pair in found["ENV"].split()}
    assert set_ - known == {"PATH", "PYTHONUNBUFFERED"}
    for service in COMPOSE["services"].values():
        if "command" in service or "ports" in service:
            assert service["depends_on"].keys() <= {"db", "migrate"}
        assert service.keys() & {"build", "image"}


def test_each_step_of_the_image_runs_in_a_plain_folder(
    tmp_path: Path, database_url: str
) -> None:
    """In the order of the Dockerfile, below a folder instead of `/`."""
    below = tmp_path / "image"
    (below / "build").mkdir(parents=True)
    (below / "var/cache").mkdir(parents=True)
    variables = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command: Sequence[str] = ()
    for name, rest in instructions():
        moved = re.sub(r"/(?=opt/|var/cache)", f"{below}/", rest)
        if name == "RUN":
            _run(moved, below / "build")
        elif name == "COPY" and not rest.startswith("--from"):
            _copy(rest.split(), below / "build")
        elif name == "ENV":
            pairs = (pair.partition("=") for pair in moved.split())
            variables |= {
                n: v.replace("$PATH", os.environ["PATH"]) for n, _, v in pairs
            }
        elif name == "HEALTHCHECK":
            check = yaml.safe_load(moved.partition("CMD ")[2])
        elif name == "CMD":
            command = yaml.safe_load(moved)
    assert command == ["job-recommender", "serve"]
    fill_jobs(database_url, 20)
    program = below / "opt/venv/bin"
    # The port and the model of `running_service` are a test's own.
    settings = variables | {"HOST": "127.0.0.1"}
    del settings["PORT"]
    with running_service(
        database_url,
        tmp_path / "log",
        python=str(program / command[0]),
        command=command[1:],
        folder=str(below),
        **settings,
    ) as service:
        answer = service.recommend(skills="python", top_n=3)
        assert len(answer.json()["recommendations"]) == 3
        _run_check(check, program, service.port, expected=0)
    _run_check(check, program, service.port, expected=1)


def _run(step: str, folder: Path) -> None:
    if step.startswith("useradd"):
        return  # it would change this machine
    if step.startswith("python "):
        step = step.replace("python", sys.executable, 1)
    # The model of the checkout: a test does not download 90 MB.
    model = ROOT / "models/all-MiniLM-L6-v2"
    step = step.replace(
        "job-recommender model", f"job-recommender model --from {model}"
    )
    subprocess.run(step, shell=True, cwd=folder, check=True)  # noqa: S602


def _copy(names: Sequence[str], folder: Path) -> None:
    """What is in the checkout and what `.dockerignore` admits."""
    admitted = (ROOT / ".dockerignore").read_text().splitlines()
    for pattern in names[:-1]:
        assert any(f"!{pattern}".startswith(line.rstrip("*")) for line in admitted[1:])
        for path in ROOT.glob(pattern):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy(path, folder)


def _run_check(
    check: Sequence[str], program: Path, port: int, *, expected: int
) -> None:
    ended = subprocess.run(
        [str(program / check[0]), *check[1:]],
        env=os.environ | {"PORT": str(port)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == expected, ended.stderr

"""Virtual environments as on a host, created once per session."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

# Not among requirements-dev.txt: it brings uvloop, which the service does not have.
FASTAPI_CLI = "fastapi-cli==0.0.34"


@pytest.fixture(scope="session")
def serving_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """requirements-serve.lock in an empty environment, as on a host."""
    environment = tmp_path_factory.mktemp("serving") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    lock = ROOT / "requirements-serve.lock"
    install(environment, environment, "--require-hashes", "-r", str(lock))
    return environment


@pytest.fixture(scope="session")
def serving_set_with_fastapi_cli(
    serving_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same packages, and those that `fastapi run` needs."""
    environment = tmp_path_factory.mktemp("cli") / "venv"
    command = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(command, check=True)
    (packages,) = environment.glob("lib/*/site-packages")
    (below,) = serving_set.glob("lib/*/site-packages")
    (packages / "below.pth").write_text(f"{below}\n")
    install(serving_set, environment, FASTAPI_CLI)
    return environment


@pytest.fixture(scope="session")
def installed(
    serving_set: Path,
    serving_set_with_fastapi_cli: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The package as a wheel, beside the locked packages and no others."""
    wheels = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel",
            "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT),
        ],
        check=True,
    )  # fmt: skip
    (wheel,) = wheels.glob("job_recommender-*.whl")
    # Its dependencies must be those of the lock: there is no index to get others from.
    install(serving_set, serving_set_with_fastapi_cli, "--no-index", str(wheel))
    return serving_set_with_fastapi_cli


def install(pip_of: Path, environment: Path, *what: str) -> None:
    python = [environment / "bin" / "python"]
    subprocess.run(
        [
            pip_of / "bin" / "python", "-m", "pip", "--python", *python, "install",
            "--quiet", "--disable-pip-version-check", *what,
        ],
        check=True,
    )  # fmt: skip

"""Virtual environments as on a host, created once per session."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.alone import made_once
from tests.support.service import ROOT

# Not among requirements-dev.txt: it brings uvloop, which the service does not have.
FASTAPI_CLI = "fastapi-cli==0.0.34"


@pytest.fixture(scope="session")
def serving_set(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """requirements-serve.lock in an empty environment, as on a host."""

    def make(environment: Path) -> None:
        _make(environment)
        lock = ROOT / "requirements-serve.lock"
        install(environment, "--require-hashes", "-r", str(lock))

    return made_once(request.config, tmp_path_factory, "serving", make)


@pytest.fixture(scope="session")
def serving_set_with_fastapi_cli(
    request: pytest.FixtureRequest,
    serving_set: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The same packages, and those that `fastapi run` needs."""

    def make(environment: Path) -> None:
        _make_above(serving_set, environment)
        install(environment, FASTAPI_CLI)

    return made_once(request.config, tmp_path_factory, "cli", make)


@pytest.fixture(scope="session")
def installed(
    request: pytest.FixtureRequest,
    serving_set_with_fastapi_cli: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The package as a wheel, beside the packages above and no others."""

    def make(environment: Path) -> None:
        wheels = tmp_path_factory.mktemp("wheels")
        subprocess.run(
            [
                sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel",
                "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT),
            ],
            check=True,
        )  # fmt: skip
        (wheel,) = wheels.glob("job_recommender-*.whl")
        _make_above(serving_set_with_fastapi_cli, environment)
        # Its dependencies must be those of the lock: there is no index here.
        install(environment, "--no-index", str(wheel))

    return made_once(request.config, tmp_path_factory, "installed", make)


def _make(environment: Path) -> None:
    """A new environment; our pip installs into it."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(command, check=True)


def _make_above(below: Path, environment: Path) -> None:
    """A new environment that also sees the packages of another one."""
    _make(environment)
    (packages,) = environment.glob("lib/*/site-packages")
    (others,) = below.glob("lib/*/site-packages")
    # `addsitedir` also reads the .pth files there.
    line = f"import site; site.addsitedir({str(others)!r})"
    (packages / "below.pth").write_text(f"{line}\n")


def install(environment: Path, *what: str) -> None:
    """Modules are compiled when they are first imported, most of them never."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", environment / "bin" / "python",
            "install", "--quiet", "--disable-pip-version-check", "--no-compile", *what,
        ],
        check=True,
    )  # fmt: skip

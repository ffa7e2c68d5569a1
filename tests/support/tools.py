"""Tools that tests need: how each is found and installed.

Needs the standard library only: `make tools` runs it beside the installation of the
packages.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALLED_WITHIN_S = 900
MIN_NODE = 20


@dataclass(frozen=True)
class Need:
    """A required tool. `fixture` provides it; `installs` are tried until `find`
    succeeds.
    """

    fixture: str
    name: str
    remedy: str
    find: Callable[[], Path | None]
    installs: Callable[[], Iterator[Sequence[str]]] = lambda: iter(())


def find_pgbouncer() -> Path | None:
    # Debian installs it in /usr/sbin, which is rarely in PATH.
    folders = [Path(name) for name in os.environ["PATH"].split(os.pathsep) if name]
    beside = [folder.parent / "sbin" for folder in folders]
    program = shutil.which(
        "pgbouncer", path=os.pathsep.join(map(str, folders + beside))
    )
    return Path(program) if program else None


def find_chromium() -> Path | None:
    """Debian's Chromium or Playwright's download, if it can start.

    Preferably without a user interface: tests then take less than half the time of the
    processor.
    """
    for name in ("chromium-headless-shell", "chromium"):
        if (program := shutil.which(name)) and _starts(Path(program)):
            return Path(program)
    # Imported here because Playwright is only needed without Debian's Chromium.
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        return None
    with sync_playwright() as playwright:
        downloaded = Path(playwright.chromium.executable_path)
    return downloaded if _starts(downloaded) else None


def _starts(program: Path) -> bool:
    command = [str(program), "--version"]
    try:
        return not subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        ).returncode
    except OSError:
        return False


def find_java() -> Path | None:
    """A JDK 11 or later, which can run a source file and has an HTTP client."""
    program = shutil.which("java")
    if not program or not shutil.which("javac") or not _starts(Path(program)):
        return None
    return Path(program)


def find_node() -> Path | None:
    """Node 20 or later, with npm."""
    program = shutil.which("node")
    if not program or not shutil.which("npm"):
        return None
    said = subprocess.run([program, "--version"], capture_output=True, check=False)
    major = said.stdout.decode().removeprefix("v").partition(".")[0]
    return Path(program) if major.isdecimal() and int(major) >= MIN_NODE else None


def find_debian_postgres() -> Path | None:
    """The folder of the programs of Debian's PostgreSQL, of its newest version."""
    if not shutil.which("pg_ctlcluster"):
        return None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def find_real_data() -> Path | None:
    named = os.environ.get("REAL_DATA_DIR")
    return Path(named) if named else None


def _apt(package: str) -> Iterator[Sequence[str]]:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install = f"apt-get install -y -qq --no-install-recommends {package}"
        # The lists of packages are fetched once, and where they are too old.
        yield ["sh", "-c", f"{install} || {{ apt-get update -qq && {install}; }}"]


def _apt_or_playwright() -> Iterator[Sequence[str]]:
    yield from _apt("chromium-headless-shell")
    yield from _apt("chromium")
    libraries = ["--with-deps"] if os.geteuid() == 0 else []
    yield [sys.executable, "-m", "playwright", "install", *libraries, "chromium"]


NEEDS = (
    Need(
        "pgbouncer",
        "PgBouncer",
        "apt-get install pgbouncer",
        find_pgbouncer,
        lambda: _apt("pgbouncer"),
    ),
    Need(
        "chromium",
        "Chromium",
        "apt-get install chromium, or python -m playwright install chromium",
        find_chromium,
        _apt_or_playwright,
    ),
    Need(
        "java",
        "a JDK",
        "apt-get install default-jdk-headless",
        find_java,
        lambda: _apt("default-jdk-headless"),
    ),
    Need(
        "node",
        "Node 20 and npm",
        "apt-get install nodejs npm, or https://nodejs.org",
        find_node,
        lambda: _apt("nodejs npm"),
    ),
    Need(
        "debian_postgres",
        "Debian's PostgreSQL",
        "apt-get install postgresql",
        find_debian_postgres,
        lambda: _apt("postgresql"),
    ),
    Need(
        "real_data",
        "the real data",
        "REAL_DATA_DIR names its folder: tests/README.md",
        find_real_data,
    ),
)
PGBOUNCER, CHROMIUM, JAVA, NODE, DEBIAN_POSTGRES, REAL_DATA = NEEDS


def install(need: Need) -> None:
    """Try each installation. If all fail, the tests are skipped."""
    for command in need.installs():
        print(f"Installing {need.name}: {' '.join(command)}", flush=True)
        try:
            subprocess.run(
                command,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                timeout=INSTALLED_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            print(error, flush=True)
        if need.find() is not None:
            return


def main() -> None:
    """Install what is missing, where it can be."""
    for need in NEEDS:
        if need.find() is None:
            install(need)


if __name__ == "__main__":
    main()

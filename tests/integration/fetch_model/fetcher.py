"""Run the command with its own home, hub and package index.

As a process where it is killed, or where the hub's own variables count.
"""

import io
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants

from app.commands.fetch_model.command import main
from tests.integration.fetch_model.files import SMALL

DRIVER = Path(__file__).with_name("driver.py")
ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 60


@dataclass(frozen=True)
class Fetcher:
    home: Path
    url: str

    @property
    def model_dir(self) -> Path:
        return self.home / "models" / "small"

    @property
    def scratch(self) -> Path:
        return self.home / "tmp"

    def run(self, *args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `main` in this process, with that environment, folder and hub."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in (self._env() | env).items():
                patch.setenv(name, value)
            # These were read from the environment before.
            patch.setattr(tempfile, "tempdir", None)
            patch.setattr(constants, "ENDPOINT", self.url)
            patch.setattr(
                constants,
                "HUGGINGFACE_CO_URL_TEMPLATE",
                self.url + "/{repo_id}/resolve/{revision}/{filename}",
            )
            patch.chdir(self.home)
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    status = main(self._arguments(*args), {SMALL.name: SMALL})
                except SystemExit as exit_:  # of argparse
                    status = int(exit_.code or 0)
        return subprocess.CompletedProcess([], status, out.getvalue(), err.getvalue())

    def run_alone(
        self, *args: str | Path, die_at: int = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it as a process. `die_at`: the change to the disk that kills it."""
        return subprocess.run(
            self._command(*args, die_at=die_at),
            capture_output=True,
            text=True,
            check=False,
            env=self._env() | env,
            cwd=self.home,
            timeout=DEADLINE_S,
        )

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """A run in its own process group that has reached its lock."""
        with subprocess.Popen(
            self._command(die_at=-1),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self._env(),
            cwd=self.home,
            start_new_session=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "at the lock\n"
                yield process
            finally:
                kill_group(process)

    def listing(self) -> set[str]:
        return {path.name for path in self.model_dir.iterdir()}

    def _command(self, *args: str | Path, die_at: int) -> list[str]:
        driver = [sys.executable, str(DRIVER), SMALL.to_json().decode(), str(die_at)]
        return [*driver, *self._arguments(*args)]

    def _arguments(self, *args: str | Path) -> list[str]:
        return ["--model-dir", str(self.model_dir), *map(str, args)]

    def _env(self) -> dict[str, str]:
        """The environment, without this machine's hub, index, proxies or caches."""
        foreign = ("PIP_", "HF_", "XDG_", "MODEL")
        return {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(foreign) and not key.lower().endswith("_proxy")
        } | {
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            # Modules that are compiled and kept would be changes to the disk.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.scratch),
            "HF_ENDPOINT": self.url,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{self.url}/simple",
        }


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the script and its children, as when a container stops."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(DEADLINE_S)

"""Runs the script as a process, with a home, a hub and an index of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.integration.fetch_model.files import SMALL

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "fetch_model.py"
DEADLINE_S = 60

# argv: the manifest, at which change to the disk to die (0: never), the script's own.
DRIVER = f"""
import os, signal, sys
from pathlib import Path
manifest, die_at, *argv = sys.argv[1:]
sys.path.insert(0, {str(SCRIPT.parent)!r})
import fetch_model
from app.encoder.checkpoint import Manifest
changes = 0
def count(event, args):
    global changes
    writes = event == "open" and isinstance(args[1], str) and "w" in args[1]
    if writes or event in ("os.mkdir", "os.rename", "os.rmdir", "os.remove"):
        changes += 1
        if changes == int(die_at):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
sys.exit(fetch_model.main(argv, Manifest.from_json(manifest.encode())))
"""


@dataclass(frozen=True)
class Fetcher:
    home: Path
    url: str

    @property
    def model_dir(self) -> Path:
        return self.home / "models" / "small"

    def run(
        self, *args: str | Path, die_at: int = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*args, die_at=die_at),
            capture_output=True,
            text=True,
            check=False,
            env=self._env() | env,
            cwd=self.home,
            timeout=DEADLINE_S,
        )

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command(), env=self._env(), cwd=self.home)

    def listing(self) -> set[str]:
        return {path.name for path in self.model_dir.iterdir()}

    def _command(self, *args: str | Path, die_at: int = 0) -> list[str]:
        driver = [sys.executable, "-c", DRIVER, SMALL.to_json().decode(), str(die_at)]
        return [*driver, "--model-dir", str(self.model_dir), *map(str, args)]

    def _env(self) -> dict[str, str]:
        """Nothing of this machine's hub, index, proxies or caches."""
        foreign = ("PIP_", "HF_", "XDG_")
        return {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(foreign) and not key.lower().endswith("_proxy")
        } | {
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "HF_ENDPOINT": self.url,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{self.url}/simple",
        }

"""Run a command of `app.commands` from a checkout, in any working directory."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


def run(command: str) -> NoReturn:
    """Replace this process with `python -m app.commands.COMMAND`, same arguments."""
    folders = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.execve(
        sys.executable,
        [sys.executable, "-m", f"app.commands.{command}", *sys.argv[1:]],
        os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
    )

"""The scripts as real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.service import ROOT

WITHIN_S = 120.0

Process = subprocess.Popen[str]


@contextmanager
def started(script: str, *arguments: str, **environment: str) -> Iterator[Process]:
    """Start a file of `scripts/`; kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / script), *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(process: Process) -> tuple[int, str, str]:
    """Its exit status, output and errors."""
    out, err = process.communicate(timeout=WITHIN_S)
    return process.returncode, out, err

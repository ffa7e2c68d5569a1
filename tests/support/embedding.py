"""Embed what waits in a database, by the real model and in this process."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from app.commands.embed import main
from tests.support.doctor import MODEL_DIR


def embed(url: str) -> None:
    """Run the backfill to its end. A failure is the test's."""
    status, _, errors = run_command(url)
    assert status == 0, errors


def run_command(url: str, *arguments: str) -> tuple[int, str, str]:
    """Its exit status, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patch.setenv("DATABASE_URL", url)
        patch.setenv("MODEL_DIR", MODEL_DIR)
        status = main(arguments)
    return status, out.getvalue(), err.getvalue()

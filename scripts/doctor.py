"""The door to `app.commands.doctor`; `--help` says what it does."""

from _run import run

run("doctor")

"""The door to `app.commands.migrate`; `--help` says what it does."""

from _run import run

run("migrate")

"""The door to `app.commands.run_local`; `--help` says what it does."""

from _run import run

run("run_local")

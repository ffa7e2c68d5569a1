"""The door to `app.commands.fetch_model`; `--help` says what it does."""

from _run import run

run("fetch_model")

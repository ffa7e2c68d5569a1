"""The door to `app.commands.embed`; `--help` says what it does."""

from _run import run

run("embed")

"""Run `app.commands.migrate`; `--help` describes it."""

from _run import run

run("migrate")

"""Run `app.commands.doctor`; `--help` describes it."""

from _run import run

run("doctor")

"""Run `app.commands.feedback`; `--help` describes it."""

from _run import run

run("feedback")

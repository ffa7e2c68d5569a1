"""Run `app.commands.embed`; `--help` describes it."""

from _run import run

run("embed")

"""Run `app.commands.fetch_model`; `--help` describes it."""

from _run import run

run("fetch_model")

"""Run `app.commands.switch_model`; `--help` describes it."""

from _run import run

run("switch_model")

"""Run `app.commands.calibrate_model`; `--help` describes it."""

from _run import run

run("calibrate_model")

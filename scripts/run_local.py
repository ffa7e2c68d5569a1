"""Run `app.commands.run_local`; `--help` describes it."""

from _run import run

run("run_local")

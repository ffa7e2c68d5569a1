"""Run `app.commands.import_csv`; `--help` describes it."""

from _run import run

run("import_csv")

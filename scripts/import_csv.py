"""The door to `app.commands.import_csv`; `--help` says what it does."""

from _run import run

run("import_csv")

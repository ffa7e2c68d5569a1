"""The door to `app.commands.import_synonyms`; `--help` says what it does."""

from _run import run

run("import_synonyms")

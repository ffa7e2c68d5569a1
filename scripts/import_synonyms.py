"""Run `app.commands.import_synonyms`; `--help` describes it."""

from _run import run

run("import_synonyms")

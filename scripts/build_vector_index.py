"""The door to `app.commands.build_vector_index`; `--help` says what it does."""

from _run import run

run("build_vector_index")

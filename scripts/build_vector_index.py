"""Run `app.commands.build_vector_index`; `--help` describes it."""

from _run import run

run("build_vector_index")

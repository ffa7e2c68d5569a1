"""Run `app.commands.recommend_all`; `--help` describes it."""

from _run import run

run("recommend_all")

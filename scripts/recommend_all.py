"""The door to `app.commands.recommend_all`; `--help` says what it does."""

from _run import run

run("recommend_all")

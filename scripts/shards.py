"""Run `app.commands.shards.command`; `--help` describes it."""

from _run import run

run("shards.command")

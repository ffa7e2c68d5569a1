"""`job-recommender COMMAND`: the commands by name. `python -m app` serves at once."""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app import __version__
from app.errors import PROGRAM


@dataclass(frozen=True)
class Command:
    """A module with a function `main`, and what it does in a few words."""

    module: str
    summary: str


COMMANDS: Mapping[str, Command] = {
    "try": Command(
        "app.commands.run_local", "serve a sample from an embedded Postgres"
    ),
    "model": Command("app.commands.fetch_model.command", "download the model"),
    "migrate": Command("app.commands.migrate", "create or update the schema"),
    "import": Command("app.commands.import_csv.command", "import a CSV file"),
    "import-synonyms": Command(
        "app.commands.import_synonyms", "import synonyms of skills"
    ),
    "embed": Command("app.commands.embed", "embed new and changed rows"),
    "build-vector-index": Command(
        "app.commands.build_vector_index", "build the index of pgvector"
    ),
    "shards": Command(
        "app.commands.shards.command", "spread the jobs over several servers"
    ),
    "switch-model": Command("app.commands.switch_model", "switch to another model"),
    "calibrate-model": Command(
        "app.commands.calibrate_model", "calibrate a model on your own data"
    ),
    "serve": Command("app.__main__", "start the service"),
    "recommend-all": Command("app.commands.recommend_all", "recommend to every user"),
    "feedback": Command("app.commands.feedback", "export and erase a user's events"),
    "doctor": Command("app.commands.doctor", "check a deployment"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit status; 2 for an unknown command."""
    args = _parser().parse_args(argv)
    # What the command's own usage and errors call it.
    sys.argv = [f"{PROGRAM} {args.command}", *args.arguments]
    module = importlib.import_module(COMMANDS[args.command].module)
    status: int = module.main()
    return status


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Job recommendations from your own Postgres.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n"
        + "\n".join(f"  {n:{width}}  {each.summary}" for n, each in COMMANDS.items())
        + f"\n\n`{PROGRAM} COMMAND --help` describes a command.",
    )
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}"
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…")
    return parser

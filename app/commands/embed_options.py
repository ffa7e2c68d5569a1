"""Command-line options of generate_embeddings.py."""

import argparse
from collections.abc import Sequence

from app.backfill.worker import LEASE_S
from app.commands.cluster import add_scheduler
from app.query.model_source import ModelSource


def parse(
    argv: Sequence[str] | None, description: str, *, whats: Sequence[str]
) -> argparse.Namespace:
    """Parse the arguments. `description`: the text above the options in the help."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_modes(parser)
    _add_choices(parser, whats)
    add_encoders(parser)
    return parser.parse_args(argv)


def _add_modes(parser: argparse.ArgumentParser) -> None:
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run", action="store_true", help="only count the rows to embed"
    )
    mode.add_argument(
        "--failures", action="store_true", help="only list the rows in quarantine"
    )
    mode.add_argument(
        "--watch",
        action="store_true",
        help="keep running, and embed new texts within a second or two",
    )
    mode.add_argument(
        "--prune-skills",
        action="store_true",
        help="only remove skills that no job and no user has",
    )
    add_scheduler(mode.add_argument)


def _add_choices(parser: argparse.ArgumentParser, whats: Sequence[str]) -> None:
    parser.add_argument(
        "--retry-failures",
        action="store_true",
        help="first release all rows from quarantine",
    )
    parser.add_argument(
        "--what",
        choices=whats,
        default="all",
        help="the rows to embed (default: %(default)s)",
    )
    parser.add_argument("--batch-size", type=positive, default=128, metavar="ROWS")
    parser.add_argument(
        "--limit", type=positive, metavar="ROWS", help="stop after these"
    )
    add_lease(parser)


def add_lease(parser: argparse.ArgumentParser) -> None:
    """Add how long a claim lasts."""
    parser.add_argument(
        "--lease-s",
        type=float,
        default=LEASE_S,
        metavar="SECONDS",
        help="time until others may take the rows of a killed worker"
        " (default: %(default)s)",
    )


def add_encoders(parser: argparse.ArgumentParser) -> None:
    """Add the choice of an encoder and of its device."""
    parser.add_argument(
        "--encoder",
        choices=["numpy", "sentence-transformers"],
        default="numpy",
        help="numpy suits small hosts; sentence-transformers needs requirements.txt",
    )
    parser.add_argument(
        "--device", help="for sentence-transformers: cpu, cuda, mps (default: the best)"
    )


def model_name(text: str) -> str:
    """Parse a model as MODEL does: the name of its folder."""
    try:
        return ModelSource.parse(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    """Parse an integer from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number

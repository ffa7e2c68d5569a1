"""Staging and installing files so that a folder is whole or has no valid manifest."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.commands.fetch_model.sources import SourceError
from app.encoder.checkpoint import MANIFEST_NAME, Manifest

# An endless stream ends before the disk is full: no model for a small host has more.
MAX_FILE_BYTES = 1 << 31


class FetchError(Exception):
    """The model was not fetched; the message, or what was printed before, says why."""


def write(blocks: Iterable[bytes], path: Path, *, limit: int = MAX_FILE_BYTES) -> str:
    """Write through to the disk, and return the SHA-256 of what was written.

    Raises SourceError beyond `limit` bytes.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
            if file.tell() > limit:
                raise SourceError(f"{path.name} exceeds {limit} bytes")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextmanager
def staged(model_dir: Path) -> Iterator[Path]:
    """A folder that is yet to be made, on the filesystem of `model_dir`.

    It is emptied before and after. A second run waits for the first, then finds its
    work done.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    with _opened(model_dir) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        staging = model_dir.resolve() / ".partial"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def install(staging: Path, model_dir: Path, manifest: Manifest) -> None:
    """Move what the manifest lists into its place, the manifest last."""
    write([manifest.to_json()], staging / MANIFEST_NAME)
    for name in (*manifest.files, MANIFEST_NAME):
        (model_dir / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(model_dir / name)
    with _opened(model_dir) as folder:
        os.fsync(folder)


def reason(exc: Exception) -> str:
    """Why, as the end of a sentence without its full stop."""
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""Stage and install files: an incomplete folder never has a valid manifest."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.commands.fetch_model.sources import SourceError
from app.encoder.checkpoint import MANIFEST_NAME, Manifest

# Ends an endless stream before the disk is full; models for small hosts are smaller.
MAX_FILE_BYTES = 1 << 31


class FetchError(Exception):
    """The model was not fetched. The message or an earlier output has the reason."""


def write(blocks: Iterable[bytes], path: Path, *, limit: int = MAX_FILE_BYTES) -> str:
    """Write the blocks to disk with fsync. Returns their SHA-256.

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
    """The path of a staging folder on the filesystem of `model_dir`.

    It is removed before and after. A second run waits for the first one.
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
    """Move the manifest's files into place, the manifest last."""
    write([manifest.to_json()], staging / MANIFEST_NAME)
    for name in (*manifest.files, MANIFEST_NAME):
        (model_dir / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(model_dir / name)
    with _opened(model_dir) as folder:
        os.fsync(folder)


def reason(exc: Exception) -> str:
    """The reason of an error, without a full stop."""
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

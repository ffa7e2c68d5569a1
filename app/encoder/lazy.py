"""The web process's encoder: nothing is read before the first text arrives."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.encoder.checkpoint import (
    MINILM,
    PINNED,
    read_manifest,
    verify_model,
)
from app.encoder.numpy_encoder import NumpyEncoder
from app.encoder.spec import MINILM_SPEC, PromptName
from app.encoder.tokens import WordPieces
from app.process import trim_malloc

WEIGHTS = "model.safetensors"


class LazyEncoder:
    """An `Encoder` that verifies and loads `model_dir` at the first `encode`.

    A load that failed is tried again at the next call, so that `make model` fixes a
    running service.
    """

    def __init__(self, model_dir: Path, name: str = MINILM.name) -> None:
        """`name`: the model that `model_dir` must hold."""
        self._model_dir = model_dir
        self._name = name
        self._encoder: NumpyEncoder | None = None
        self._lock = Lock()

    @property
    def version(self) -> str:
        """The model's name: any other checkpoint fails to load."""
        return self._name

    @cached_property
    def dimension(self) -> int:
        """Raises ModelUnavailableError if only an absent manifest could say it."""
        return (PINNED.get(self._name) or read_manifest(self._model_dir)).dimension

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory; never waits for a load under way."""
        return self._encoder is not None

    def verify_files(self) -> None:
        """Raises ModelUnavailableError as a load would; reads every file once."""
        verify_model(self._model_dir, self._name)

    def encode(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]:
        """As `Encoder.encode`; raises ModelUnavailableError if loading fails."""
        return self._loaded_encoder().encode(texts, prompt=prompt)

    def encode_deterministic(
        self, texts: Sequence[str], *, prompt: PromptName = "query"
    ) -> NDArray[np.float32]:
        """As `NumpyEncoder.encode_deterministic`; raises as `encode` does."""
        return self._loaded_encoder().encode_deterministic(texts, prompt=prompt)

    def _loaded_encoder(self) -> NumpyEncoder:
        if self._encoder is not None:
            return self._encoder
        # First callers that arrive together would each hash 90 MB and sort a
        # vocabulary; the lock lets one load and the others find it done.
        with self._lock:
            if self._encoder is None:
                self._encoder = _load(self._model_dir, self._name)
                # Hashing and sorting leave two megabytes of holes.
                trim_malloc()
            return self._encoder


class DeterministicEncoder:
    """Encodes each text to the same bits in any batch: for the texts of queries.

    An answer must not depend, not even in its last digit, on the other requests of
    the moment.
    """

    def __init__(self, model: LazyEncoder) -> None:
        self._model = model

    @property
    def version(self) -> str:
        return self._model.version

    @property
    def dimension(self) -> int:
        return self._model.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `LazyEncoder.encode_deterministic`."""
        return self._model.encode_deterministic(texts)


def _load(model_dir: Path, name: str) -> NumpyEncoder:
    verify_model(model_dir, name)
    if name in PINNED:
        return _load_pinned(model_dir, name)
    # Imported on demand: only another model has configuration files to read.
    from app.encoder.layout import read_spec  # noqa: PLC0415
    from app.encoder.library_tokens import LibraryTokens  # noqa: PLC0415

    spec = read_spec(model_dir)
    tokens = LibraryTokens(model_dir / "tokenizer.json", max_tokens=spec.max_tokens)
    return NumpyEncoder(model_dir / WEIGHTS, tokens, spec, version=name)


def _load_pinned(model_dir: Path, name: str) -> NumpyEncoder:
    """MiniLM, with the vocabulary in half a megabyte."""
    tokens = WordPieces(model_dir / "vocab.txt", max_tokens=MINILM_SPEC.max_tokens)
    return NumpyEncoder(model_dir / WEIGHTS, tokens, MINILM_SPEC, version=name)

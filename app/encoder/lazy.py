"""The web process's encoder, which loads the model at the first text."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.encoder.checkpoint import (
    MINILM,
    PINNED,
    read_manifest,
    verify_model,
)
from app.encoder.spec import MINILM_SPEC, PromptName
from app.encoder.wrapper import EncoderWrapper
from app.process import trim_malloc

if TYPE_CHECKING:
    from app.encoder.numpy_encoder import NumpyEncoder

WEIGHTS = "model.safetensors"


class LazyEncoder:
    """An `Encoder` that verifies and loads `model_dir` at the first `encode`.

    The next call retries a failed load: a download fixes a running service.
    """

    def __init__(self, model_dir: Path, name: str = MINILM.name) -> None:
        """`name`: the model that `model_dir` must contain."""
        self._model_dir = model_dir
        self._name = name
        self._encoder: NumpyEncoder | None = None
        self._lock = Lock()

    @property
    def version(self) -> str:
        """The model's name. Another model in `model_dir` fails to load."""
        return self._name

    @cached_property
    def dimension(self) -> int:
        """The length of an embedding. Raises ModelUnavailableError if unknown."""
        return (PINNED.get(self._name) or read_manifest(self._model_dir)).dimension

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory. Does not wait for a load in progress."""
        return self._encoder is not None

    def verify_files(self) -> None:
        """Check all files' hashes. Raises ModelUnavailableError as a load would."""
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

    def _loaded_encoder(self) -> "NumpyEncoder":
        if self._encoder is not None:
            return self._encoder
        # Without the lock, concurrent first calls would each hash 90 MB and sort the
        # vocabulary.
        with self._lock:
            if self._encoder is None:
                self._encoder = _load(self._model_dir, self._name)
                # Hashing and sorting leave 2 MB of free memory in the heap.
                trim_malloc()
            return self._encoder


class DeterministicEncoder(EncoderWrapper[LazyEncoder]):
    """Encodes the texts of queries to the same bits in any batch.

    A result must not depend on concurrent requests, not even in its last digit.
    """

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `LazyEncoder.encode_deterministic`."""
        return self._encoder.encode_deterministic(texts)


def _load(model_dir: Path, name: str) -> "NumpyEncoder":
    verify_model(model_dir, name)
    if name in PINNED:
        return _load_pinned(model_dir, name)
    # Imported on demand: the pinned model has no configuration files to read.
    from app.encoder.layout import read_spec  # noqa: PLC0415
    from app.encoder.library_tokens import LibraryTokens  # noqa: PLC0415
    from app.encoder.numpy_encoder import NumpyEncoder  # noqa: PLC0415

    spec = read_spec(model_dir)
    tokens = LibraryTokens(model_dir / "tokenizer.json", max_tokens=spec.max_tokens)
    return NumpyEncoder(model_dir / WEIGHTS, tokens, spec, version=name)


def _load_pinned(model_dir: Path, name: str) -> "NumpyEncoder":
    """Load MiniLM, whose vocabulary takes half a megabyte here."""
    # Imported on demand: they take 1.2 MB, and 10 ms of each start.
    from app.encoder.numpy_encoder import NumpyEncoder  # noqa: PLC0415
    from app.encoder.tokens import WordPieces  # noqa: PLC0415

    tokens = WordPieces(model_dir / "vocab.txt", max_tokens=MINILM_SPEC.max_tokens)
    return NumpyEncoder(model_dir / WEIGHTS, tokens, MINILM_SPEC, version=name)

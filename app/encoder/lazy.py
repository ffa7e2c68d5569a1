"""The web process's encoder: nothing is read before the first text arrives."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.encoder.checkpoint import MINILM, verify
from app.encoder.numpy_encoder import NumpyEncoder
from app.process import trim_malloc


class LazyEncoder:
    """An `Encoder` that verifies and loads `model_dir` at the first `encode`.

    A load that failed is tried again at the next call, so that `make model` fixes a
    running service.
    """

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self._encoder: NumpyEncoder | None = None
        self._lock = Lock()

    @property
    def version(self) -> str:
        """The pinned model's name: any other checkpoint fails to load."""
        return MINILM.name

    @property
    def dimension(self) -> int:
        return MINILM.dimension

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory; never waits for a load under way."""
        return self._encoder is not None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`; raises ModelUnavailableError if loading fails."""
        return self._loaded_encoder().encode(texts)

    def encode_deterministic(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `NumpyEncoder.encode_deterministic`; raises as `encode` does."""
        return self._loaded_encoder().encode_deterministic(texts)

    def _loaded_encoder(self) -> NumpyEncoder:
        if self._encoder is not None:
            return self._encoder
        # First callers that arrive together would each hash 90 MB and sort a
        # vocabulary; the lock lets one load and the others find it done.
        with self._lock:
            if self._encoder is None:
                self._encoder = _load(self._model_dir)
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


def _load(model_dir: Path) -> NumpyEncoder:
    manifest = verify(model_dir)
    return NumpyEncoder(
        model_dir, version=manifest.name, max_tokens=manifest.max_tokens
    )

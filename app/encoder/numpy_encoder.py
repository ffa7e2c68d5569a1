"""The encoder of the web process: WordPieces and MiniLM, one bounded pack at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.encoder.minilm import MiniLM
from app.encoder.safetensors import SafeTensors
from app.encoder.tokens import WordPieces
from app.encoder.weights import DIMENSION, Weights


class NumpyEncoder:
    """MiniLM over the files of `model_dir`, which the caller has verified."""

    dimension = DIMENSION

    def __init__(self, model_dir: Path, *, version: str, max_tokens: int) -> None:
        """Raises ModelUnavailableError if a file is absent or damaged."""
        self.version = version
        self._max_tokens = max_tokens
        self._word_pieces = WordPieces(
            model_dir / "tokenizer.json", max_tokens=max_tokens
        )
        weights = Weights.of(SafeTensors(model_dir / "model.safetensors"))
        self._model = MiniLM(weights, max_tokens=max_tokens)
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`; any number of threads may call it."""
        embeddings = np.empty((len(texts), DIMENSION), np.float32)
        done = 0
        for pack in self._packs(texts):
            # One pack at a time: two would need the scratch memory twice and fight
            # for the same cores. A short text waits for one pack, not for a bulk run.
            with self._lock:
                embeddings[done : done + len(pack)] = self._model.embed(pack)
            done += len(pack)
        return embeddings

    def _packs(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """Texts in order, as many as fit into `max_tokens` together."""
        pack: list[list[int]] = []
        tokens = 0
        for text in texts:
            ids = self._word_pieces.ids(text)
            if tokens + len(ids) > self._max_tokens:
                yield pack
                pack, tokens = [], 0
            pack.append(ids)
            tokens += len(ids)
        if pack:
            yield pack

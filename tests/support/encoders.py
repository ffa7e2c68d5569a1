"""Encoders for tests that do not need the model."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.encoder.checkpoint import MINILM

DIMENSION = MINILM.dimension


class HashEncoder:
    """A fixed random direction per text. Counts the encoded texts."""

    version = "all-MiniLM-L6-v2"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        return np.array([direction(text) for text in texts]).reshape(-1, DIMENSION)


def direction(text: str) -> NDArray[np.float32]:
    """(384,) float32, unit length, the same for the same text."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class BlendEncoder(HashEncoder):
    """Texts of words: the more words two texts share, the more similar they are."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen += texts
        sums = [sum(direction(w) for w in sorted(text.split())) for text in texts]
        rows = np.array(sums, np.float32).reshape(-1, DIMENSION)
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


class Remembering:
    """An encoder that encodes no text twice: two rankings take its vectors."""

    def __init__(
        self, encoder: Encoder, known: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        """`known`: vectors of texts that it need not encode."""
        self._encoder = encoder
        self._known = dict(known or {})
        self.version = encoder.version
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= zip(new, self._encoder.encode(new), strict=True)
        return np.array([self._known[text] for text in texts])

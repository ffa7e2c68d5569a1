"""Embeddings cached in a folder, so that a second evaluation takes minutes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder

ENCODED_AT_ONCE = 256


class RememberingEncoder:
    """An `Encoder` that appends its results to two files in a folder."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        folder.mkdir(parents=True, exist_ok=True)
        self._texts = folder / f"{encoder.version}.texts.jsonl"
        self._vectors = folder / f"{encoder.version}.f32"
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._texts.exists() and self._vectors.exists():
            self._known = self._read()

    @property
    def version(self) -> str:
        """As `Encoder.version`."""
        return self._encoder.version

    @property
    def dimension(self) -> int:
        """As `Encoder.dimension`."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimension) float32, unit length."""
        new = sorted({t for t in texts if t not in self._known}, key=len)
        for start in range(0, len(new), ENCODED_AT_ONCE):
            self._add(new[start : start + ENCODED_AT_ONCE])
        return np.array([self._known[text] for text in texts], np.float32)

    def _read(self) -> dict[str, NDArray[np.float32]]:
        width = self._encoder.dimension
        rows = np.fromfile(self._vectors, np.float32)
        whole = len(rows) // width
        lines = self._texts.read_text().splitlines()
        if len(lines) != whole or len(rows) % width:
            # A run was killed between its two writes: start afresh.
            self._texts.unlink()
            self._vectors.unlink()
            return {}
        vectors = rows.reshape(whole, width)
        return dict(zip(map(json.loads, lines), vectors, strict=True))

    def _add(self, texts: Sequence[str]) -> None:
        vectors = self._encoder.encode(texts)
        with self._vectors.open("ab") as file:
            vectors.tofile(file)
        with self._texts.open("a") as lines:
            lines.writelines(json.dumps(text) + "\n" for text in texts)
        self._known |= dict(zip(texts, vectors, strict=True))

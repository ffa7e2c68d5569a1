"""An LRU cache of query embeddings: the same users repeat their requests."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.encoder import Encoder
from app.encoder.wrapper import EncoderWrapper


class CachedEncoder(EncoderWrapper[Encoder]):
    """Wraps an encoder in a least-recently-used cache.

    An entry takes about 1.7 KB for a text of any length: the keys are digests.
    """

    def __init__(self, encoder: Encoder, *, entries: int) -> None:
        super().__init__(encoder)
        self._entries = entries
        self._cache: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`: (n, dimension) float32, unit length."""
        keys = [self._key(text) for text in texts]
        cached = self._get(keys)
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in cached}
        if missing:
            fresh = self._encoder.encode(list(missing.values()))
            # Copies: a view would keep the whole array alive.
            new = {k: row.copy() for k, row in zip(missing, fresh, strict=True)}
            self._add(new)
            cached |= new
        if not keys:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([cached[key] for key in keys])

    def _key(self, text: str) -> bytes:
        encoded = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(
            encoded, digest_size=16, key=self.version.encode()
        ).digest()

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        with self._lock:
            found = {key: self._cache[key] for key in keys if key in self._cache}
            for key in found:
                self._cache.move_to_end(key)
            return found

    def _add(self, new: dict[bytes, NDArray[np.float32]]) -> None:
        with self._lock:
            self._cache.update(new)
            while len(self._cache) > self._entries:
                self._cache.popitem(last=False)

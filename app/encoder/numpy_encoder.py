"""The encoder of the web process: WordPieces and MiniLM, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.encoder.minilm import Group, MiniLM
from app.encoder.safetensors import SafeTensors
from app.encoder.tokens import WordPieces
from app.encoder.weights import DIMENSION, Weights

# Tokens that one sweep over the 43 MB of weights takes: some thirty short texts. On a
# host without room to keep the weights cached, each sweep reads them from the disk.
SWEEP_TOKENS = 1024


class NumpyEncoder:
    """MiniLM over the files of `model_dir`, which the caller has verified."""

    dimension = DIMENSION

    def __init__(self, model_dir: Path, *, version: str, max_tokens: int) -> None:
        """Raises ModelUnavailableError if a file is absent or damaged."""
        self.version = version
        self._max_tokens = max_tokens
        self._word_pieces = WordPieces(model_dir / "vocab.txt", max_tokens=max_tokens)
        weights = Weights.of(SafeTensors(model_dir / "model.safetensors"))
        self._model = MiniLM(
            weights, group_tokens=max_tokens, sweep_tokens=SWEEP_TOKENS
        )
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`; any number of threads may call it."""
        return self._embed(texts, self._max_tokens, lambda pack: [pack])

    def encode_deterministic(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `encode`, at half its speed; a vector's bits depend on its text alone."""
        return self._embed(texts, SWEEP_TOKENS, lambda pack: [[ids] for ids in pack])

    def _embed(
        self,
        texts: Sequence[str],
        most_tokens: int,
        group: Callable[[Group], Sequence[Group]],
    ) -> NDArray[np.float32]:
        embeddings = np.empty((len(texts), DIMENSION), np.float32)
        done = 0
        for pack in self._packs(texts, most_tokens):
            # One pack at a time: two would need the scratch memory twice and fight
            # for the same cores. A short text waits for one pack, not for a bulk run.
            with self._lock:
                embeddings[done : done + len(pack)] = self._model.embed(group(pack))
            done += len(pack)
        return embeddings

    def _packs(self, texts: Sequence[str], most_tokens: int) -> Iterator[Group]:
        """Texts in order, as many as have `most_tokens` together."""
        pack: list[list[int]] = []
        tokens = 0
        for text in texts:
            ids = self._word_pieces.ids(text)
            if tokens + len(ids) > most_tokens:
                yield pack
                pack, tokens = [], 0
            pack.append(ids)
            tokens += len(ids)
        if pack:
            yield pack

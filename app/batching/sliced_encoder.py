"""Encodes in slices, so that a cancelled batch stops encoding."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.batching.batcher import RUNNING
from app.batching.cost import SLICE_TEXTS
from app.encoder import Encoder
from app.encoder.wrapper import EncoderWrapper
from app.errors import DeadlineExceededError

# Without a pause the thread that releases the encoder's lock takes it again before
# another one wakes.
BETWEEN_SLICES_S = 0.001


class SlicedEncoder(EncoderWrapper[Encoder]):
    """Wraps an encoder. A text's vector does not depend on its slice."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `Encoder.encode`. Raises DeadlineExceededError between two slices when the
        running batch is past its deadline or was cancelled.
        """
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), SLICE_TEXTS):
            if start:
                time.sleep(BETWEEN_SLICES_S)
            _check_scope()
            end = start + SLICE_TEXTS
            vectors[start:end] = self._encoder.encode(texts[start:end])
        return vectors


def _check_scope() -> None:
    scope = RUNNING.get()
    if scope is None:
        return
    scope.deadline.check("encoding")
    if scope.abandoned():
        raise DeadlineExceededError("All callers of this batch have disconnected.")

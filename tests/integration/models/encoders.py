"""Encoders of other models than the guide's, of other dimensions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.support.encoders import DIMENSION, BlendEncoder

SMALL = 49


class SmallEncoder(BlendEncoder):
    """A model of 49 dimensions. Its vectors are the start of `PaddedEncoder`'s."""

    version = "a-model-whose-name-fits-no-column-of-the-guide"
    dimension = SMALL

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str = "query",  # noqa: ARG002  (the protocol's)
    ) -> NDArray[np.float32]:
        self.seen += texts
        rows = np.array([_of(text) for text in texts], np.float32)
        return rows.reshape(-1, self.dimension)


class PaddedEncoder(SmallEncoder):
    """The same vectors as 384 dimensions of the guide's model: the same cosines."""

    version = BlendEncoder.version
    dimension = DIMENSION

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str = "query",  # noqa: ARG002  (the protocol's)
    ) -> NDArray[np.float32]:
        self.seen += texts
        rows = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:SMALL] = _of(text)
        return rows


def _of(text: str) -> NDArray[np.float32]:
    blend = BlendEncoder().encode([text])[0, :SMALL]
    unit: NDArray[np.float32] = blend / np.linalg.norm(blend)
    return unit

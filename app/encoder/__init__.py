"""Texts to unit-length embeddings. The seam every other package sees is `Encoder`."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns texts into vectors whose dot product is their cosine similarity."""

    @property
    def version(self) -> str:
        """The model's name, as stored in `embedding_version`."""
        ...

    @property
    def dimension(self) -> int:
        """Length of one embedding."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts, in order: (len(texts), dimension) float32, unit length.

        They are queries, unless the encoder is a `PassageEncoder`. Some models put a
        prompt before a query and another before a passage.
        The order and number of texts in one call change a vector by rounding only,
        about 1e-7. Raises ModelUnavailableError if the model cannot be loaded.
        """
        ...

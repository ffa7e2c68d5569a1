"""Text embeddings of unit length. Other packages depend on `Encoder` only."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Encodes texts as unit vectors, whose dot product is their cosine similarity."""

    @property
    def version(self) -> str:
        """The model's name, as stored in `embedding_version`."""
        ...

    @property
    def dimension(self) -> int:
        """The length of one embedding."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts in order: (len(texts), dimension) float32, unit length.

        Texts are encoded as queries, except by a `PassageEncoder`: some models have
        different prompts for queries and passages. The other texts of a call change a
        vector by rounding only, about 1e-7. Raises ModelUnavailableError if the model
        cannot be loaded.
        """
        ...

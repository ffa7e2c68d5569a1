"""The records of a replica's files: ids, compact codes, exact vectors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.ranking.skills.vocabulary import encode_rows
from app.storage.codec import DIMENSION, points_somewhere, squared_norms
from app.storage.copy.embeddings import EmbeddingChunk

# The unit vector of a row is scale * codes, off by at most `error` in length: so a
# cosine is off by at most that (Cauchy and Schwarz).
CODED_ROW = np.dtype(
    [("codes", "i1", (DIMENSION,)), ("scale", "<f4"), ("error", "<f4")]
)
EXACT_ROW = np.dtype(("<f4", (DIMENSION,)))
DEAD_ROW = np.dtype("<i4")

# For longer ids a fixed width would waste space.
WIDEST_ID = 64


def id_dtype(kind: Kind, width: int) -> np.dtype[Any]:
    """Of a file of ids, `width` bytes each; those of integers and uuids are given."""
    return np.dtype("<i8" if kind == "integer" else f"S{width}")


def usable(chunk: EmbeddingChunk) -> EmbeddingChunk:
    """The comparable rows, copied out of the stream's buffer."""
    is_usable = points_somewhere(squared_norms(chunk.embeddings))
    return EmbeddingChunk(chunk.ids[is_usable], chunk.embeddings[is_usable])


def coded(embeddings: NDArray[np.float32]) -> NDArray[np.void]:
    """Encode (n, 384) vectors as (n,) CODED_ROW."""
    found, _ = encode_rows(embeddings)
    rows = np.zeros(len(found), CODED_ROW)
    for name in ("codes", "scale", "error"):
        rows[name] = found[name]
    return rows

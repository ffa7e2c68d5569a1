"""The records of a replica's files: ids, compact codes, exact vectors."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.query.ids import Kind
from app.ranking.skills.vocabulary import encode_rows
from app.storage.codec import points_somewhere, squared_norms
from app.storage.copy.embeddings import EmbeddingChunk

DEAD_ROW = np.dtype("<i4")

# For longer ids a fixed width would waste space.
WIDEST_ID = 64


@cache
def coded_dtype(dimension: int) -> np.dtype[Any]:
    """The unit vector of a row is scale * codes, off by at most `error` in length: so a
    cosine is off by at most that (Cauchy and Schwarz).
    """
    codes = ("codes", "i1", (dimension,))
    filler = ("filler", "i1", (-dimension % 4,))
    return np.dtype([codes, filler, ("scale", "<f4"), ("error", "<f4")])


def exact_dtype(dimension: int) -> np.dtype[Any]:
    return np.dtype(("<f4", (dimension,)))


def id_dtype(kind: Kind, width: int) -> np.dtype[Any]:
    """Of a file of ids, `width` bytes each; those of integers and uuids are given."""
    return np.dtype("<i8" if kind == "integer" else f"S{width}")


def usable(chunk: EmbeddingChunk) -> EmbeddingChunk:
    """The comparable rows, copied out of the stream's buffer."""
    is_usable = points_somewhere(squared_norms(chunk.embeddings))
    return EmbeddingChunk(chunk.ids[is_usable], chunk.embeddings[is_usable])


def coded(embeddings: NDArray[np.float32]) -> NDArray[np.void]:
    """Encode (n, dimension) vectors as (n,) `coded_dtype`."""
    found, _ = encode_rows(embeddings)
    rows = np.zeros(len(found), coded_dtype(embeddings.shape[1]))
    for name in ("codes", "scale", "error"):
        rows[name] = found[name]
    return rows

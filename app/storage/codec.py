"""Arrays as BYTEA: embeddings and lists of whole numbers.

An embedding is 384 little-endian float32, as `ndarray.tobytes()` writes them.
Rows written by `numpy.float32` code elsewhere on a little-endian machine are valid.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIMENSION = 384
EMBEDDING_BYTES = DIMENSION * 4

# Below this squared norm float32 loses digits to underflow; such a vector, the zero
# vector among them, points nowhere.
MIN_SQUARED_NORM = 1e-30

FLOAT32 = np.dtype("<f4")
INT32 = np.dtype("<i4")


def squared_norms(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) float32 of (n, 384); overflow and NaN pass in silence."""
    with np.errstate(all="ignore"):
        squared: NDArray[np.float32] = np.einsum("ij,ij->i", embeddings, embeddings)
    return squared


def points_somewhere(squared: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which vectors can be compared, by their squared norms: (n,)."""
    usable: NDArray[np.bool_] = np.isfinite(squared) & (squared >= MIN_SQUARED_NORM)
    return usable


def to_bytes(embedding: ArrayLike) -> bytes:
    """Encode one embedding, shape (384,), as 1,536 bytes.

    Raises ValueError for another shape, and for values that are not finite.
    """
    vector = np.asarray(embedding, dtype=FLOAT32)
    if vector.shape != (DIMENSION,):
        raise ValueError(f"an embedding has shape (384,), not {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError("an embedding holds finite numbers only")
    return vector.tobytes()


def from_bytes(data: bytes | memoryview) -> NDArray[np.float32]:
    """View 1,536 bytes as one embedding: float32, shape (384,), read-only.

    Raises ValueError for another length. The values are not looked at.
    """
    if len(data) != EMBEDDING_BYTES:
        raise ValueError(f"an embedding has {EMBEDDING_BYTES} bytes, not {len(data)}")
    return np.frombuffer(data, dtype=FLOAT32)


def int32_to_bytes(numbers: ArrayLike) -> bytes:
    """Encode whole numbers as little-endian int32, one after the other."""
    return np.asarray(numbers, dtype=INT32).tobytes()


def int32_from_bytes(data: bytes | memoryview) -> NDArray[np.int32]:
    """(n,) int32, read-only. Raises ValueError unless 4 bytes make a number."""
    return np.frombuffer(data, dtype=INT32)

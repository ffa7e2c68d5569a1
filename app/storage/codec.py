"""Codec of embeddings and integer lists as BYTEA.

An embedding is its model's number of little-endian float32, as in `ndarray.tobytes()`.
So rows written by other NumPy code on a little-endian machine are valid.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Below this squared norm float32 loses digits to underflow: such vectors, like the zero
# vector, have no direction.
MIN_SQUARED_NORM = 1e-30

FLOAT32 = np.dtype("<f4")
INT32 = np.dtype("<i4")


def squared_norms(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) float32 of (n, dimension). Overflow and NaN raise no warning."""
    with np.errstate(all="ignore"):
        squared: NDArray[np.float32] = np.einsum("ij,ij->i", embeddings, embeddings)
    return squared


def points_somewhere(squared: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which vectors have a direction, by their squared norms: (n,)."""
    usable: NDArray[np.bool_] = np.isfinite(squared) & (squared >= MIN_SQUARED_NORM)
    return usable


def to_bytes(embedding: ArrayLike) -> bytes:
    """Encode one embedding, shape (dimension,), as 4 * dimension bytes.

    Raises ValueError for another shape, and for values that are not finite.
    """
    vector = np.asarray(embedding, dtype=FLOAT32)
    if vector.ndim != 1 or not len(vector):
        raise ValueError(f"an embedding has one axis, not the shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError("an embedding holds finite numbers only")
    return vector.tobytes()


def from_bytes(data: bytes | memoryview) -> NDArray[np.float32]:
    """View 4 * dimension bytes as one embedding: float32, (dimension,), read-only.

    Raises ValueError for a length that is none. Does not check the values.
    """
    if not len(data) or len(data) % FLOAT32.itemsize:
        raise ValueError(f"an embedding has a multiple of 4 bytes, not {len(data)}")
    return np.frombuffer(data, dtype=FLOAT32)


def int32_to_bytes(numbers: ArrayLike) -> bytes:
    """Encode integers as little-endian int32."""
    return np.asarray(numbers, dtype=INT32).tobytes()


def int32_from_bytes(data: bytes | memoryview) -> NDArray[np.int32]:
    """(n,) int32, read-only. Raises ValueError for a length that is not a multiple of
    4.
    """
    return np.frombuffer(data, dtype=INT32)

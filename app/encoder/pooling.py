"""Pooling: the vectors of a text's tokens to one vector of unit length."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.encoder.spec import Pooling
from app.encoder.weights import Matrix


def pooled(x: Matrix, starts: Sequence[int], pooling: Pooling) -> Matrix:
    """Pool (dimension, tokens) into (texts, dimension) of unit length.

    `starts`: the first token of each text; a text ends where the next one starts.
    """
    vectors = _POOLINGS[pooling](x, starts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _sums(x: Matrix, starts: Sequence[int]) -> Matrix:
    """Mean pooling. The division by the token count is left to the normalization."""
    sums: Matrix = np.add.reduceat(x, starts, axis=1).T
    return sums


def _first_tokens(x: Matrix, starts: Sequence[int]) -> Matrix:
    return x[:, starts].T


def _maxima(x: Matrix, starts: Sequence[int]) -> Matrix:
    maxima: Matrix = np.maximum.reduceat(x, starts, axis=1).T
    return maxima


_POOLINGS: Mapping[Pooling, Callable[[Matrix, Sequence[int]], Matrix]] = {
    "mean": _sums,
    "cls": _first_tokens,
    "max": _maxima,
}

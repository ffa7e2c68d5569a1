"""From the vectors of a text's tokens to one vector of unit length."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.encoder.spec import Pooling
from app.encoder.weights import Matrix


def pooled(x: Matrix, starts: Sequence[int], pooling: Pooling) -> Matrix:
    """(texts, dimension), unit length, of (dimension, tokens).

    `starts` are the texts' first tokens; a text lasts until the next one begins.
    """
    vectors = _POOLINGS[pooling](x, starts)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _sums(x: Matrix, starts: Sequence[int]) -> Matrix:
    """The mean but for the token count, which cancels at unit length."""
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

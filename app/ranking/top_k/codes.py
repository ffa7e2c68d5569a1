"""Cosines by int8 codes, each with a bound of its error."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.vocabulary import encode_rows
from app.storage.codec import points_somewhere, squared_norms
from app.storage.copy.skill_ids import EntryChunk

# Rows at a time: what is computed of their codes, scales and errors finds them in the
# processor's caches. Widened to float32 they take 1.5 MB; integers need no such copy,
# and each call of the library takes some microseconds.
WIDENED_ROWS = 1024
INTEGER_ROWS = 8192
# Up to this many queries integer products are faster, beyond it BLAS.
MOST_CODED_QUERIES = 16

# (q, dimension) and (n, dimension) int8 to (q, n).
IntegerDots = Callable[..., Any]


# The unit vector of a row is scale * integers, off by at most `error` in length: so a
# cosine is off by at most that (Cauchy and Schwarz).
CODE_SCALE = np.dtype([("scale", "<f4"), ("error", "<f4")])


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of n rows. Scales lie apart: among the integers each would be a look
    into memory of its own.
    """

    integers: NDArray[np.int8]  # (n, dimension)
    scales: NDArray[Any]  # (n,) CODE_SCALE

    def __len__(self) -> int:
        return len(self.integers)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> "Codes":
        return Codes(self.integers[rows], self.scales[rows])


def greatest_error(dimension: int) -> np.float32:
    """No error is greater, as a multiple of the scale: each component is off by at most
    half a step.
    """
    return np.float32(0.5 * dimension**0.5 * (1 + 1e-5))


def coded(embeddings: NDArray[np.float32]) -> Codes:
    """Encode (n, dimension) vectors; zeros for a vector without a direction."""
    found, _ = encode_rows(embeddings)
    usable = points_somewhere(squared_norms(embeddings))
    scales = np.zeros(len(found), CODE_SCALE)
    for name in ("scale", "error"):
        scales[name][usable] = found[name][usable]
    return Codes(np.where(usable[:, None], found["codes"], np.int8(0)), scales)


class CodedCosines:
    """Bounds of cosines, by the codes of rows."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        """`queries`: (q, dimension) of unit length."""
        self._products = products_of(queries)

    def lowest(self, rows: Codes, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fill `out`, (q, n), with the least cosines of the rows: within `margin_of`
        the dimension, though codes are up to 1.08 long. Returns by how much the
        greatest cosine of each row exceeds its least, (n,).
        """
        step = self._products.rows
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            place = out[:, start : start + len(part)]
            products = self._products(part.integers)
            np.multiply(products, self._products.units, out=place, casting="same_kind")
            place *= part.scales["scale"]
            place -= part.scales["error"]
        out -= self._products.error
        spread: NDArray[np.float32] = rows.scales["error"] + self._products.error.max()
        spread *= 2
        return spread


class Products(Protocol):
    """Products of the queries and codes, (n, dimension): (q, n), of any type, valid
    until the next call.

    `rows`: the greatest n. `units`: (q, 1), what a product is to be multiplied by.
    `error`: (q, 1), by how much a cosine may be off because of the query's rounding.
    """

    rows: int
    units: NDArray[np.float32]
    error: NDArray[np.float32]

    def __call__(self, codes: NDArray[np.int8]) -> NDArray[np.floating]: ...


def products_of(queries: NDArray[np.float32]) -> Products:
    """By the faster way for this number of queries, (q, dimension) of unit length."""
    dots = integer_dots() if len(queries) <= MOST_CODED_QUERIES else None
    return (
        _Float32Products(queries) if dots is None else _IntegerProducts(queries, dots)
    )


class _Float32Products:
    """By BLAS, from widened codes."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        self.rows = WIDENED_ROWS
        self._queries = queries
        self._wide = np.empty((self.rows, queries.shape[1]), np.float32)
        self._out = np.empty((len(queries), self.rows), np.float32)
        self.units = np.ones((len(queries), 1), np.float32)
        self.error = np.zeros_like(self.units)

    def __call__(self, codes: NDArray[np.int8]) -> NDArray[np.floating]:
        widened = self._wide[: len(codes)]
        widened[:] = codes
        return np.matmul(self._queries, widened.T, out=self._out[:, : len(codes)])


class _IntegerProducts:
    """By integers, exact for the codes of the queries."""

    def __init__(self, queries: NDArray[np.float32], dots: IntegerDots) -> None:
        self.rows = INTEGER_ROWS
        rows = coded(queries)
        self._codes = rows.integers
        self.units = rows.scales["scale"][:, None]
        # The codes of a row are up to 1.08 long.
        self.error = rows.scales["error"][:, None] * np.float32(1.1)
        self._dots = dots

    def __call__(self, codes: NDArray[np.int8]) -> NDArray[np.floating]:
        return np.asarray(self._dots(self._codes, codes, metric="dot"))


@cache
def integer_dots() -> IntegerDots | None:
    """The dot products of simsimd; None where no wheel of it is installed.

    For one query they take a quarter of BLAS' time, for 64 as long. Its import takes
    0.03 MB.
    """
    try:
        from simsimd import cdist  # noqa: PLC0415
    except ImportError:
        return None
    found: IntegerDots = cdist
    return found


@dataclass(frozen=True, eq=False)
class CodedEntryChunk(EntryChunk):
    """Rows whose embeddings are read only where they are candidates.

    `embeddings`: those of all rows. `numbers`: (n,), which of them are of this chunk.
    `codes`: of this chunk.
    """

    codes: Codes
    numbers: NDArray[np.intp]

    def embeddings_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """As `EntryChunk.embeddings_at`."""
        return self.embeddings[self.numbers[rows]]

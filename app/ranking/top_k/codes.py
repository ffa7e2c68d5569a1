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

# Codes are widened to float32 so many rows at a time, 1.5 MB, which a processor's own
# cache holds.
CODED_ROWS = 1024
# Up to so many queries integer products are faster, beyond them BLAS.
MOST_CODED_QUERIES = 16

# (q, dimension) and (n, dimension) int8 to (q, n).
IntegerDots = Callable[..., Any]


@cache
def coded_dtype(dimension: int) -> np.dtype[Any]:
    """The unit vector of a row is scale * codes, off by at most `error` in length: so a
    cosine is off by at most that (Cauchy and Schwarz).
    """
    codes = ("codes", "i1", (dimension,))
    filler = ("filler", "i1", (-dimension % 4,))
    return np.dtype([codes, filler, ("scale", "<f4"), ("error", "<f4")])


def coded(embeddings: NDArray[np.float32]) -> NDArray[np.void]:
    """Encode (n, dimension) vectors as (n,) `coded_dtype`; zeros for a vector without
    a direction.
    """
    found, _ = encode_rows(embeddings)
    rows = np.zeros(len(found), coded_dtype(embeddings.shape[1]))
    usable = points_somewhere(squared_norms(embeddings))
    for name in ("codes", "scale", "error"):
        rows[name][usable] = found[name][usable]
    return rows


class CodedCosines:
    """Bounds of cosines, by the codes of rows."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        """`queries`: (q, dimension) of unit length."""
        dots = integer_dots() if len(queries) <= MOST_CODED_QUERIES else None
        self._products: Products = (
            _Float32Products(queries)
            if dots is None
            else _IntegerProducts(queries, dots)
        )

    def lowest(
        self, rows: NDArray[Any], out: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Fill `out`, (q, n), with the least cosines of the rows, (n,) `coded_dtype`:
        within `margin_of` the dimension, though codes are up to 1.08 long.
        """
        for start in range(0, len(rows), CODED_ROWS):
            part = rows[start : start + CODED_ROWS]
            place = out[:, start : start + len(part)]
            self._products(part["codes"], place)
            place *= part["scale"]
            place -= part["error"]
        out -= self._products.error
        return out

    def spread(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(n,): by how much the greatest cosine of each row exceeds its least."""
        spread: NDArray[np.float32] = 2 * (rows["error"] + self._products.error.max())
        return spread


class Products(Protocol):
    """Fills `out`, (q, n), with the products of the queries and codes, (n, dimension).

    `error`: (q, 1), by how much a cosine may be off because of the query's rounding.
    """

    error: NDArray[np.float32]

    def __call__(self, codes: NDArray[np.int8], out: NDArray[np.float32]) -> None: ...


class _Float32Products:
    """By BLAS, from widened codes."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        self._queries = queries
        self._wide = np.empty((CODED_ROWS, queries.shape[1]), np.float32)
        self.error = np.zeros((len(queries), 1), np.float32)

    def __call__(self, codes: NDArray[np.int8], out: NDArray[np.float32]) -> None:
        widened = self._wide[: len(codes)]
        widened[:] = codes
        np.matmul(self._queries, widened.T, out=out)


class _IntegerProducts:
    """By integers, exact for the codes of the queries."""

    def __init__(self, queries: NDArray[np.float32], dots: IntegerDots) -> None:
        rows = coded(queries)
        self._codes = np.ascontiguousarray(rows["codes"])
        self._scales = rows["scale"][:, None]
        # The codes of a row are up to 1.08 long.
        self.error = rows["error"][:, None] * np.float32(1.1)
        self._dots = dots

    def __call__(self, codes: NDArray[np.int8], out: NDArray[np.float32]) -> None:
        found = np.asarray(self._dots(self._codes, codes, metric="dot"))
        np.multiply(found, self._scales, out=out, casting="same_kind")


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
    `codes`: (n,) `coded_dtype`, of this chunk.
    """

    codes: NDArray[Any]
    numbers: NDArray[np.intp]

    def embeddings_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """As `EntryChunk.embeddings_at`."""
        return self.embeddings[self.numbers[rows]]

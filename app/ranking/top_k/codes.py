"""Cosines by int8 codes, each with a bound of its error."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.ranking.skills.vocabulary import encode_rows
from app.storage.codec import points_somewhere, squared_norms
from app.storage.copy.skill_ids import EntryChunk

# Codes are widened to float32 so many rows at a time, 1.5 MB, which a processor's own
# cache holds.
WIDENED_ROWS = 1024


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
    """The lowest cosines that rows may have, by their codes.

    The highest are by twice the row's error above them. Both are within `margin_of` the
    dimension, though codes are up to 1.08 long.
    """

    def __init__(self, queries: NDArray[np.float32]) -> None:
        """`queries`: (q, dimension) of unit length."""
        self._queries = queries
        self._wide = np.empty((WIDENED_ROWS, queries.shape[1]), np.float32)

    def lowest(
        self, rows: NDArray[Any], out: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Fill `out`, (q, n), for the rows, (n,) `coded_dtype`."""
        for start in range(0, len(rows), WIDENED_ROWS):
            part = rows[start : start + WIDENED_ROWS]
            widened = self._wide[: len(part)]
            widened[:] = part["codes"]
            place = out[:, start : start + len(part)]
            np.matmul(self._queries, widened.T, out=place)
            place *= part["scale"]
            place -= part["error"]
        return out


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

"""The running top-k of several queries by cosine similarity.

BLAS scores every row in float32. Its last digits depend on the shape of the batch and
on the row's position in it. So these scores only select candidates, with a margin above
the rounding error, and candidates are rescored in float64.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.ranking.top_k.bounds import Bounds
from app.ranking.top_k.factors import RowFactors
from app.ranking.top_k.heap import DECIMALS, Scored, TopK
from app.storage.codec import points_somewhere, squared_norms
from app.storage.copy.embeddings import EmbeddingChunk

__all__ = ["DECIMALS", "CosineTopK", "Scored"]

# Candidates that are copied and kept at a time: 512 x 384 float32 take 0.8 MB.
RESCORE_ROWS = 512
# Of those, the rows and their queries in float64: 0.4 MB each.
EXACT_ROWS = 128

# Half a unit of the last decimal, and the rounding of the norms.
OTHER_ROUNDING = 2.5e-6


def margin_of(dimension: int) -> float:
    """The error of a score in float32: of a dot product of `dimension` terms at most
    dimension * 2**-24 for unit vectors (Higham, Accuracy and Stability of Numerical
    Algorithms, section 3.1), or 1.2 times that for codes; 3e-5 for 384.
    """
    return 1.2 * dimension * 2.0**-24 + OTHER_ROUNDING


class Cosines:
    """Computes approximate scores of all rows, and exact ones of some."""

    def __init__(self, queries: NDArray[np.float32]) -> None:
        """`queries`: (q, dimension) float32, any length but zero."""
        exact = queries.astype(np.float64)
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        self._exact = exact  # (q, dimension) float64, unit length
        self.queries = exact.astype(np.float32)

    def approximate(
        self, embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(q, n) float32 within `margin_of`, NaN for unusable rows; (n,) usable."""
        with np.errstate(all="ignore"):
            squared = squared_norms(embeddings)
            usable = points_somewhere(squared)
            scores = self.queries @ embeddings.T
            scores *= np.where(usable, 1 / np.sqrt(squared), np.float32(np.nan))
        return scores, usable

    def exact(
        self, embeddings: NDArray[np.float32], query: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(n,) float64: the score of each row with its query; not finite for unusable
        rows.
        """
        scores = np.empty(len(query))
        for start in range(0, len(query), EXACT_ROWS):
            part = slice(start, start + EXACT_ROWS)
            rows = embeddings[part].astype(np.float64)
            with np.errstate(all="ignore"):
                dots = np.einsum("ij,ij->i", rows, self._exact[query[part]])
                norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
                scores[part] = dots / norms
        return scores


class CosineTopK:
    """A running top-k per query: call `update` for each chunk, then `result`."""

    def __init__(
        self,
        queries: NDArray[np.float32],
        sizes: Sequence[int],
        *,
        bounds: Sequence[Bounds] = (),
        factors: RowFactors | None = None,
    ) -> None:
        """`queries`: (q, dimension) float32, any length but zero; `sizes`: N of each;
        `bounds`: one for each, or none at all; `factors`: as of `TopK`.
        """
        self._cosines = Cosines(queries)
        self._best = TopK(
            sizes, margin=margin_of(queries.shape[1]), bounds=bounds, factors=factors
        )
        self.analyzed = 0
        self.unusable = 0

    def update(self, batch: EmbeddingChunk) -> None:
        """Score one chunk.

        Rows whose norm in float32 is NaN, infinite or below 1e-15 cannot be compared:
        they count as unusable.
        """
        scores, usable = self._cosines.approximate(batch.embeddings)
        count = int(usable.sum())
        self.analyzed += count
        self.unusable += len(usable) - count
        query, row = self._best.candidates(scores, batch.ids)
        for start in range(0, len(row), RESCORE_ROWS):
            part = slice(start, start + RESCORE_ROWS)
            chosen = EmbeddingChunk(batch.ids[row[part]], batch.embeddings[row[part]])
            self.consider(query[part], chosen)

    def consider(
        self, query: NDArray[np.int64], batch: EmbeddingChunk
    ) -> NDArray[np.float64]:
        """Score candidates of one query each, `query` (n,), and return the cosines,
        (n,).

        The rows must not be excluded by their query. Rows without a direction are never
        among the best.
        """
        exact = self._cosines.exact(batch.embeddings, query)
        self._best.keep(query, batch.ids, exact)
        return exact

    def result(self, query: int) -> list[Scored]:
        """The best rows of one query: highest score first, ties by id."""
        return self._best.result(query)

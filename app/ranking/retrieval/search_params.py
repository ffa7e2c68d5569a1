"""The two steps to find candidates: near through an index, exact over all rows."""

from dataclasses import dataclass, replace

from app.storage.vectors import MOST_CANDIDATES, HnswParams

# The error of a similarity of two vectors in half precision. At most: 2**-11 of each
# factor, twice, and the error of float32 sums. Usually: eight standard deviations of
# real pairs, see docs/pgvector-choices.md.
LARGEST_ERROR = 1.1e-3
USUAL_ERROR = 1.3e-4


@dataclass(frozen=True)
class SearchStep:
    """One search: `oversampling` rows beyond those wanted; without `hnsw`, exact."""

    oversampling: int
    margin: float
    hnsw: HnswParams | None = None

    def is_narrow(self, size: int) -> bool:
        """Whether an index could keep more candidates to find `size` rows."""
        if self.hnsw is None:
            return False
        return self.hnsw.candidates(size, in_steps=False) < MOST_CANDIDATES

    def wider(self) -> "SearchStep":
        """For queries that have more equals than its candidates."""
        return replace(self, oversampling=10 * self.oversampling)


NEAR = SearchStep(
    oversampling=20,
    margin=USUAL_ERROR,
    hnsw=HnswParams(ef_search=80, per_row=2, per_row_of_steps=3),
)
EXACT = SearchStep(oversampling=400, margin=LARGEST_ERROR)

"""The steps to find candidates, and when one has found all that matter."""

from dataclasses import dataclass

from app.storage.copy.candidates import Candidates
from app.storage.vectors import HnswParams

# By how much a similarity of two vectors in half precision is off. At most: each
# factor by 2**-11 of itself, twice, and float32 sums on top. Usually: eight standard
# deviations of real pairs, see docs/pgvector-choices.md.
LARGEST_ERROR = 1.1e-3
USUAL_ERROR = 1.3e-4


@dataclass(frozen=True)
class SearchStep:
    """One search: `oversampling` rows beyond those wanted; without `hnsw`, exact."""

    oversampling: int
    margin: float
    hnsw: HnswParams | None
    # Only for questions whose search before found more rows that may belong.
    if_inconclusive: bool = False
    # Its candidates are few: what an answer shows of them may come along.
    shows: bool = False

    def settles(self, found: Candidates) -> bool:
        """Whether no row beyond these can be among the best, as far as an index tells.

        Where hundreds of equal texts tie, an index gives some of them and no step round
        them; comparing all rows for the lowest ids would cost seconds.
        """
        if self.hnsw is None and not found.full:
            return True
        if self.if_inconclusive and found.last:
            return len(found.ids) > 0
        return found.full and not found.last


# Tried in turn by the questions that are still open: many equal texts need more
# candidates, and a filter can leave an index too few of them.
# Of real postings 2 % of the queries tie beyond 20 rows, and 5 % beyond 10.
NEAR = SearchStep(
    oversampling=20,
    margin=USUAL_ERROR,
    hnsw=HnswParams(ef_search=80, per_row=2, per_row_of_steps=3),
    shows=True,
)
DEEP = SearchStep(
    oversampling=400,
    margin=USUAL_ERROR,
    hnsw=HnswParams(ef_search=500),
    if_inconclusive=True,
)
EXACT = SearchStep(oversampling=400, margin=LARGEST_ERROR, hnsw=None)

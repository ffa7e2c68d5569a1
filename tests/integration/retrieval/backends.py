"""The retrieval backends. Each must pass every test of this folder: add a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.ranking.retrieval.base import Retrieval
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import fill, fill_and_index
from tests.support.rows import VERSION

# Small tables have several chunks.
stream = partial(FullScan, version=VERSION, scan_chunk_rows=7)
pgvector = partial(PgvectorSearch, version=VERSION, scan_chunk_rows=7)


@dataclass(frozen=True)
class Backend:
    """A way to make one; `extras`: the optional migrations that it needs; `settle`:
    what its worker does once rows have changed. An approximate one may miss rows,
    unless it is asked for all of them, and is never asserted to be exact.
    """

    name: str
    make: Callable[[], Retrieval]
    extras: tuple[str, ...] = ()
    settle: Callable[[Database], object] = lambda _: None
    is_exact: bool = True


BACKENDS = [
    Backend("stream", stream),
    Backend("pgvector exact", pgvector, ("pgvector",), fill),
    Backend("pgvector near", partial(pgvector, exact_below=0), ("pgvector",),
            fill_and_index, is_exact=False),
]  # fmt: skip

"""The retrieval backends; each must pass every test in this folder."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.ranking.retrieval.base import Retrieval
from app.ranking.retrieval.full_scan import FullScan
from app.ranking.retrieval.pgvector import PgvectorSearch
from app.ranking.retrieval.replica.keeper import ReplicaKeeper
from app.ranking.retrieval.replica.search import ReplicaSearch
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.connection.database import Database
from tests.integration.pgvector.searching import fill, fill_and_index
from tests.support.rows import VERSION

# Small chunks, so that small tables have several.
stream = partial(FullScan, version=VERSION, scan_chunk_rows=7)
pgvector = partial(PgvectorSearch, version=VERSION, scan_chunk_rows=7)


class KeptReplica(ReplicaSearch):
    """A replica whose keeper makes a pass when it is told to."""

    last: "KeptReplica"

    def __init__(self) -> None:
        self.views = ViewStore()
        super().__init__(self.views, version=VERSION, scan_chunk_rows=7)
        self.folder = Path(tempfile.mkdtemp(prefix="replica-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        KeptReplica.last = self

    @staticmethod
    def settle(database: Database) -> None:
        replica = KeptReplica.last
        keeper = ReplicaKeeper(database, replica.views, replica.folder, version=VERSION)
        with closing(keeper):
            keeper.run_once()


@dataclass(frozen=True)
class Backend:
    """How to create and set up a backend.

    `extras`: the optional migrations that it needs. `settle`: its worker's task after
    changes of rows. An approximate backend may miss rows unless the query is exact, and
    is never asserted to be exact.
    """

    name: str
    make: Callable[[], Retrieval]
    extras: tuple[str, ...] = ()
    settle: Callable[[Database], object] = lambda _: None
    is_exact: bool = True


BACKENDS = [
    Backend("stream", stream),
    Backend("replica", KeptReplica, settle=KeptReplica.settle),
    Backend("pgvector exact", pgvector, ("pgvector",), fill),
    Backend("pgvector near", partial(pgvector, exact_below=0), ("pgvector",),
            fill_and_index, is_exact=False),
]  # fmt: skip

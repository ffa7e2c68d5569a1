"""A replica, put together: who keeps its files, and who searches in them."""

from pathlib import Path

from app.ranking.retrieval.replica.keeper import ReplicaKeeper
from app.ranking.retrieval.replica.search import ReplicaSearch
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.connection.database import Database


class Replica(ReplicaSearch):
    """A `Retrieval` over files of its own; `start` and `close` are called once each."""

    def __init__(
        self, database: Database, folder: Path, *, version: str, scan_chunk_rows: int
    ) -> None:
        views = ViewStore()
        super().__init__(views, version=version, scan_chunk_rows=scan_chunk_rows)
        self.views = views
        self.keeper = ReplicaKeeper(database, views, folder, version=version)

    def start(self) -> None:
        """Begin to fill the files, and to keep them."""
        self.keeper.start()

    def close(self) -> None:
        """Let a slice that is being written finish."""
        self.keeper.close()

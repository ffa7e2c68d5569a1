"""The replica backend: its files' keeper and its search."""

from pathlib import Path

from app.ranking.retrieval.replica.keeper import ReplicaKeeper
from app.ranking.retrieval.replica.search import ReplicaSearch
from app.ranking.retrieval.replica.view_store import ViewStore
from app.storage.connection.database import Database


class Replica(ReplicaSearch):
    """A `Retrieval` over local files; call `start` and `close` once each."""

    def __init__(
        self, database: Database, folder: Path, *, version: str, scan_chunk_rows: int
    ) -> None:
        views = ViewStore()
        super().__init__(views, version=version, scan_chunk_rows=scan_chunk_rows)
        self.views = views
        self.keeper = ReplicaKeeper(database, views, folder, version=version)

    def start(self) -> None:
        """Start the thread that fills and updates the files."""
        self.keeper.start()

    def close(self) -> None:
        """Stop the thread after the current slice."""
        self.keeper.close()

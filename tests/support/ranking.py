"""Recommenders over a real database, put together as the service does it."""

from app.encoder import Encoder
from app.ranking.retrieval.full_scan import StreamSearch
from app.ranking.similarity import Recommender
from app.storage.connection.database import Database


def streaming_recommender(database: Database, encoder: Encoder) -> Recommender:
    """One that reads its batches 16 rows at a time, so that small tables have some."""
    search = StreamSearch(version=encoder.version, scan_chunk_rows=16)
    return Recommender(database, encoder, search)

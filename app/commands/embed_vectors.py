"""Makes what SEARCH_BACKEND=pgvector reads, with a progress bar."""

import time

from app.backfill.vectors import VectorFilling
from app.commands.progress import shown


def fill_vectors(vectors: VectorFilling) -> None:
    """Vectors of stored embeddings; without their migration there is nothing to do."""
    waiting = vectors.waiting()
    if not waiting:
        return
    start = time.monotonic()
    filled = sum(shown(vectors.run(), waiting, unit="vector", size=int))
    rate = filled / (time.monotonic() - start)
    print(f"{filled} vectors made from stored embeddings ({rate:.0f} per second).")

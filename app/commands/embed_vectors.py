"""Fill the vectors for SEARCH_BACKEND=pgvector, with a progress bar."""

import time

from app.backfill.vectors import VectorFilling
from app.commands.progress import shown
from app.query.numbers import counted


def fill_vectors(vectors: VectorFilling) -> None:
    """Copy stored embeddings into vectors; does nothing without their migration."""
    waiting = vectors.waiting()
    if not waiting:
        return
    start = time.monotonic()
    filled = sum(shown(vectors.run(), waiting, unit="vector", size=int))
    rate = filled / (time.monotonic() - start)
    print(
        f"{counted(filled, 'vectors')} copied from stored embeddings"
        f" ({rate:.0f} per second)."
    )

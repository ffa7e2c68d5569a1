"""Makes what rows wait for: claim rows -> encode and split -> compare-and-set.

It decides what is made and when it is written; scripts decide what is shown.
docs/embeddings.md tells the life of a row.
"""

from app.backfill.worker import Backfill, Progress

__all__ = ["Backfill", "Progress"]

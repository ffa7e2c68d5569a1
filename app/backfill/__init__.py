"""Fills the embeddings that are missing: claim rows -> encode -> compare-and-set.

It decides what is embedded and when it is written; scripts decide what is shown.
docs/embeddings.md tells the life of a row.
"""

from app.backfill.worker import Backfill, Progress

__all__ = ["Backfill", "Progress"]

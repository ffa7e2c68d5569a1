"""Embeds and splits pending rows: claim -> encode and split -> compare-and-set.

It prints nothing: commands show its progress. docs/embeddings.md has the states of a
row.
"""

from app.backfill.worker import Backfill, Progress

__all__ = ["Backfill", "Progress"]

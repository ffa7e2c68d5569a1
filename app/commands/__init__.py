"""Commands beside the service; `scripts/*.py` are their doors."""

from pathlib import Path

# The checkout: `migrations/` and `samples/` lie there.
ROOT = Path(__file__).resolve().parents[2]

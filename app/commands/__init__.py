"""Command-line programs; `scripts/*.py` start them."""

from pathlib import Path

# The root of the checkout, with `migrations/` and `samples/`.
ROOT = Path(__file__).resolve().parents[2]

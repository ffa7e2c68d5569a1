"""Benchmarks: the project compared with the guide's three designs. See README.md."""

import os

# A `.env` must not affect the measurements.
os.environ["ENV_FILE"] = os.devnull

"""Measures the project beside the guide's three designs. See README.md here."""

import os

# What a `.env` says must not change what is measured.
os.environ["ENV_FILE"] = os.devnull

"""Job recommendations by meaning, for a Postgres and a 512 MB host."""

__version__ = "0.1.0"

"""Connections to Postgres: pool, transactions, watchdog."""

"""Retrieval: backends that find the best rows of a query."""

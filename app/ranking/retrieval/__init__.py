"""Retrieval: where the rows of a ranking come from."""

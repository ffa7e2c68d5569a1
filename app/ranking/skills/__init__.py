"""Ranking by skills."""

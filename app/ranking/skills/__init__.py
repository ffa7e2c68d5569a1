"""Ranking skill by skill."""

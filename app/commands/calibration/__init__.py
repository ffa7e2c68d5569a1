"""Calibrates a model: what its similarities and scores are worth."""

"""Evaluation of the rankings' quality: `make eval`. See README.md."""

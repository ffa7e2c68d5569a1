"""Measures the project beside the guide's three designs. See README.md here."""

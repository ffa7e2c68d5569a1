"""Measures how early each ranking finds what is right: `make eval`. See README.md."""

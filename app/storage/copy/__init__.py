"""Decoders of COPY BINARY records."""

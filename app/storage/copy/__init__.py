"""Codecs of the records that COPY streams."""

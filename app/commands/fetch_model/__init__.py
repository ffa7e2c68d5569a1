"""Download a model's checkpoint and write its manifest of hashes."""

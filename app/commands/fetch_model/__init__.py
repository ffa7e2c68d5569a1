"""Brings a model's checkpoint into its folder, and writes the manifest of hashes."""

"""Bytes to a deployment: loading, the position-keeping tree, units, and one reader per format."""

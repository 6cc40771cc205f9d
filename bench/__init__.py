"""Measures the bridge beside its peers: ``python -m bench``."""

"""The clients that the bridge is tested with."""

"""Larger scenarios: many streams for long, and servers that go away under them."""

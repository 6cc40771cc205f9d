"""Why a command can't do what it was told to."""

from __future__ import annotations


class RefusalError(Exception):
    """A command that ends early.

    Attributes:
        message: What is told on stderr.
        status: The exit status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

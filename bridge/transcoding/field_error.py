"""What is wrong, and in which field."""

from __future__ import annotations

from typing import Self


class FieldError(ValueError):
    """Something that is no message.

    Attributes:
        field: The path of the field that is wrong, such as ``items[3].price``; empty for all of it.
        reason: What is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason

    def within(self, step: str) -> Self:
        """Return the error as it is seen from outside a field, or an element such as ``[3]``."""
        dot = "." if self.field and not self.field.startswith("[") else ""
        return type(self)(f"{step}{dot}{self.field}", self.reason)

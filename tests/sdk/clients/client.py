"""What the clients have in common: a question, and what of its answer the user of an SDK sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Question:
    """What a client is to ask.

    Attributes:
        content: What the user says: a text, or directives of the script engine.
        leave_after: The client aborts when it has so many characters of text.
        tools: Whether it offers the tool ``weather``, with one parameter, ``city``.
        retries: How many times the SDK may send the request again.
        stream: Whether it asks for a stream.
        on_text: Called when some text has come.
    """

    content: str
    leave_after: int | None = None
    tools: bool = False
    retries: int = 0
    stream: bool = True
    on_text: Callable[[], None] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what a client needs that runs elsewhere."""
        names = ("content", "leave_after", "tools", "retries", "stream")
        return {name: getattr(self, name) for name in names}

    def has_text(self) -> None:
        """Note that some text has come."""
        if self.on_text is not None:
            self.on_text()


@dataclass(slots=True)
class Seen:
    """What the user of an SDK sees.

    Attributes:
        text: What has come, also before an error.
        finish: Why the model stopped, in the words of the SDK; None if it doesn't say.
        usage: Tokens of the prompt and of the answer.
        tool_calls: Names, with the arguments as an object.
        error: The name of the type of the error that is raised.
        message: What it says.
    """

    text: str = ""
    finish: str | None = None
    usage: tuple[int, int] | None = None
    tool_calls: list[tuple[str, Any]] = field(default_factory=list)
    error: str | None = None
    message: str = ""

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Return what a client has seen that runs elsewhere."""
        seen = cls(**found)
        seen.usage = seen.usage and (seen.usage[0], seen.usage[1])
        seen.tool_calls = [(name, arguments) for name, arguments in seen.tool_calls]
        return seen


class Client(ABC):
    """An SDK, as it is installed. What it runs in, if not in Python, lives while it is entered.

    Attributes:
        name: What people call it.
    """

    name: str

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    @abstractmethod
    async def ask(self, bridge: str, question: Question) -> Seen:
        """Ask the bridge at the URL ``bridge``, and tell what was seen."""

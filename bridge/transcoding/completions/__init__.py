"""Conversations completed by services of other protos, as a file says."""

from bridge.transcoding.completions.completion import Completion, Completions, read, services
from bridge.transcoding.completions.file import CompletionsError

__all__ = ["Completion", "Completions", "CompletionsError", "read", "services"]

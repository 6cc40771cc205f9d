"""The rules of ``completion.proto`` that the schema's types can't express."""

from __future__ import annotations

from collections.abc import Iterator

from backend.status import Violation, bad_request
from protos.completion.v1.completion_pb2 import Message, Role, StreamCompletionRequest

MAX_STOP_STRINGS = 16
# Names are quoted in errors and logged.
MAX_MODEL_LENGTH = 256


def validate(request: StreamCompletionRequest) -> None:
    """Check every field of ``request``.

    Raises:
        RpcError: INVALID_ARGUMENT that names all wrong fields.
    """
    violations = [*_model(request), *_messages(request), *_sampling(request), *_stop(request)]
    if violations:
        raise bad_request(violations)


def _model(request: StreamCompletionRequest) -> Iterator[Violation]:
    if len(request.model) > MAX_MODEL_LENGTH:
        yield "model", f"must be at most {MAX_MODEL_LENGTH} characters, got {len(request.model)}"


def _messages(request: StreamCompletionRequest) -> Iterator[Violation]:
    if not request.messages:
        yield "messages", "at least 1 message is required"
    for index, message in enumerate(request.messages):
        yield from _role(f"messages[{index}].role", message)


def _role(path: str, message: Message) -> Iterator[Violation]:
    if message.role == Role.ROLE_UNSPECIFIED:
        yield path, "is required"
    elif message.role not in Role.values():
        yield path, f"{message.role} is not a role"


def _sampling(request: StreamCompletionRequest) -> Iterator[Violation]:
    # Negated comparisons, so that NaN is refused too.
    if request.HasField("temperature") and not 0 <= request.temperature <= 2:
        yield "temperature", f"must be from 0 to 2, got {request.temperature:g}"
    if request.HasField("top_p") and not 0 < request.top_p <= 1:
        yield "top_p", f"must be above 0 and at most 1, got {request.top_p:g}"
    if request.HasField("max_tokens") and request.max_tokens < 1:
        yield "max_tokens", "must be 1 or more, got 0"


def _stop(request: StreamCompletionRequest) -> Iterator[Violation]:
    if len(request.stop) > MAX_STOP_STRINGS:
        yield "stop", f"at most {MAX_STOP_STRINGS} strings are allowed, got {len(request.stop)}"
    for index, string in enumerate(request.stop):
        if not string:
            yield f"stop[{index}]", "must not be empty"

"""The form of a file that maps completions to the methods of other services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bridge.status import Status
from bridge.transcoding import yaml_file
from bridge.transcoding.exposure_error import ExposureError

CONTENT: Final = "{content}"

FAILURES: Final = {status.name: status for status in Status if status is not Status.OK}


class CompletionsError(ExposureError):
    """A file that maps no completions."""


def _from_path(given: Any) -> Any:
    return {"from": given} if isinstance(given, str) else given


def _as_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def _turn(text: str) -> str:
    if text.count(CONTENT) != 1:
        raise ValueError(f"must have {CONTENT} once")
    return text


def _status(name: str) -> str:
    if name not in FAILURES:
        raise ValueError("must be the name of a gRPC status that is an error")
    return name


Name = Annotated[str, Field(min_length=1)]
Turn = Annotated[str, AfterValidator(_turn)]
StatusName = Annotated[str, AfterValidator(_status)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TextSource(_Form):
    """Where the text of an answer is.

    Attributes:
        path: A field, a text or bytes in UTF-8.
        whole: Whether each message has all of the text so far, not what is new.
        skip_bytes: How many bytes stand before the text.
    """

    path: Annotated[Name, Field(alias="from")]
    whole: bool = False
    skip_bytes: Annotated[int, Field(ge=0, le=1024)] = 0


class FinishSource(_Form):
    """Where it stands why the model stopped.

    Attributes:
        path: A field, an enum, a text or a truth.
        values: What its values mean: a finish reason, or the gRPC status of a failure. None of
            the others ends the answer. Default: a text is a finish reason itself.
    """

    path: Annotated[Name, Field(alias="from")]
    values: dict[str | bool, str] = {}


class UsageSource(_Form):
    """Where the counts of tokens are. Each holds until another comes."""

    prompt_tokens: Name | None = None
    completion_tokens: Name | None = None
    total_tokens: Name | None = None


class ErrorSource(_Form):
    """Where a message tells of an error.

    Attributes:
        message: A text that is empty without one.
        code: The number of a gRPC status that is 0 without one.
        status: The status without a code.
    """

    message: Name | None = None
    code: Name | None = None
    status: StatusName = Status.UNKNOWN.name

    @model_validator(mode="after")
    def _tells_something(self) -> ErrorSource:
        if self.message is None and self.code is None:
            raise ValueError("must have a message or a code")
        return self


class ToolCallSource(_Form):
    """Where the calls are that the model asks for.

    Attributes:
        each: The messages that have one each.
        name: In such a message, as the next ones: the tool.
        arguments: JSON, as a text or a ``google.protobuf.Struct``.
        id: By what its result names it. Default: a random one, as for an empty one.
        index: Which call of the answer it is about. Default: each message is a whole call.
    """

    each: Name
    name: Name
    arguments: Name
    id: Name | None = None
    index: Name | None = None


class ResponseForm(_Form):
    """What the messages of an answer have."""

    text: Annotated[TextSource, BeforeValidator(_from_path)]
    finish_reason: Annotated[
        list[Annotated[FinishSource, BeforeValidator(_from_path)]], BeforeValidator(_as_list)
    ] = []
    usage: UsageSource = UsageSource()
    model: Name | None = None
    tool_calls: ToolCallSource | None = None
    error: ErrorSource | None = None


class PromptForm(_Form):
    """How a conversation is written as one text.

    Attributes:
        system: A message of that role, as the next ones. Default: there can be none.
        user: See ``system``.
        assistant: See ``system``.
        answer: What stands before the answer.
    """

    system: Turn | None = None
    user: Turn
    assistant: Turn | None = None
    answer: str = ""


class CompletionForm(_Form):
    """A method that completes conversations.

    Attributes:
        service: The full name of its service.
        method: Its own.
        models: Those that it serves, the default first. Default: whatever is asked for.
        prompt: How ``$prompt`` is written. Default: the one message that there may be.
        ignore: What a request may ask for though it gets lost.
        request: The template of its request.
        response: What its responses have.
    """

    service: Name
    method: Name
    models: list[Name] = []
    prompt: PromptForm | None = None
    ignore: list[Name] = []
    request: dict[str, Any]
    response: ResponseForm


class CompletionsForm(_Form):
    """All of a file."""

    completions: Annotated[list[CompletionForm], Field(min_length=1), BeforeValidator(_as_list)]


def read(path: Path) -> list[CompletionForm]:
    """Return what a file has.

    Raises:
        CompletionsError: it can't be read, or has another form.
    """
    try:
        found = yaml_file.read(path)
    except yaml_file.YamlError as error:
        raise CompletionsError([str(error)]) from None
    try:
        return CompletionsForm.model_validate(found).completions
    except ValidationError as error:
        raise CompletionsError([f"{path}: {problem}" for problem in _told(error)]) from None


def _told(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            yield f"{where}: there is no such key"
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            yield f"{where}: {reason}" if where else reason

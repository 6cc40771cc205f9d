"""Methods of other services that complete conversations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.error_details import bad_request
from bridge.status import Status
from bridge.transcoding.completions import file, response, template
from bridge.transcoding.completions.file import CompletionForm, CompletionsError, PromptForm
from bridge.transcoding.completions.reader import ResponseParts, ResponseReader
from bridge.transcoding.completions.template import Template
from bridge.transcoding.completions.variables import IGNORABLE, asked, values
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.schema import RpcMethod, Schema
from bridge.transcoding.spelling import instead_of
from bridge.upstream.call import Method, RpcError
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse


@dataclass(frozen=True, slots=True)
class Completion:
    """A method that completes conversations.

    It may be of any kind: it gets one message, and what it answers is a stream, if only of one.

    Attributes:
        path: ``/package.Service/Method``.
        models: Those that it serves, the default first; empty for whatever is asked for.
    """

    path: str
    models: Sequence[str]
    _request: type[Message]
    _template: Template
    _prompt: PromptForm | None
    _ignored: frozenset[str]
    _response: ResponseParts

    def method(self) -> Method[Message, StreamCompletionResponse]:
        """Return the method for one call: it knows which messages have come before."""
        return Method(self.path, self._request, ResponseReader(self._response))

    def request(self, request: StreamCompletionRequest) -> Message:
        """Return a request as the service takes it.

        Raises:
            RpcError: it asks for what the template doesn't carry, or what its fields can't.
        """
        lost = list(self._lost(request))
        if lost:
            raise bad_request([(path, "This is not supported by the backend") for path in lost])
        if not request.model and self.models:
            with_model = StreamCompletionRequest()
            with_model.CopyFrom(request)
            with_model.model = self.models[0]
            request = with_model
        try:
            scope = values(request, self._prompt, self._template.used)
            return self._request(**self._template.fill(scope))
        except RequestError as error:
            raise bad_request([(error.field, error.reason)]) from None

    def _lost(self, request: StreamCompletionRequest) -> Iterator[str]:
        carried = self._template.used | self._ignored
        if "messages.tool_name" in carried:
            carried |= {"messages.tool_call_id"}
        outer_lost: set[str] = set()
        for name, path in asked(request):
            outer = name.split(".")[0]
            if name in carried or outer in outer_lost or outer in self._ignored:
                continue
            outer_lost.add(name)
            yield path


class Completions:
    """All methods of a file.

    Args:
        completions: At least one. If there are several, each has models.
    """

    def __init__(self, completions: Sequence[Completion]) -> None:
        self._by_model = {model: one for one in completions for model in one.models}
        self._default = completions[0]

    @property
    def models(self) -> Sequence[str]:
        """The models that a request can name, the default first; empty if that isn't known."""
        return tuple(self._by_model)

    def of(self, model: str) -> Completion:
        """Return what serves a model; empty for the default.

        Raises:
            RpcError: there is no such model.
        """
        if not model or not self._by_model:
            return self._default
        found = self._by_model.get(model)
        if found is None:
            raise RpcError(Status.NOT_FOUND, f"There is no model {model!r}.")
        return found


def services(path: Path) -> Sequence[str]:
    """Return the full names of the services that a file maps completions to.

    Raises:
        CompletionsError: it can't be read.
    """
    return [form.service for form in file.read(path)]


def read(path: Path, schema: Schema) -> Completions:
    """Return the completions of a file.

    Args:
        path: Where it is.
        schema: The services that it can name.

    Raises:
        CompletionsError: it can't be read, or doesn't fit them.
    """
    forms = file.read(path)
    problems: list[str] = []
    found = []
    for number, form in enumerate(forms):
        mine: list[str] = []
        completion = _completion(form, schema, mine)
        if completion is not None:
            found.append(completion)
        problems += [f"{path}: completions.{number}.{problem}" for problem in mine]
    problems += [f"{path}: {problem}" for problem in _of_models(forms)]
    if problems:
        raise CompletionsError(problems)
    return Completions(found)


def _of_models(forms: Sequence[CompletionForm]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, form in enumerate(forms):
        if len(forms) > 1 and not form.models:
            yield f"completions.{number}.models: each of several needs its own"
        for model in form.models:
            if model in seen:
                yield f"completions.{number}.models: {model} is there in {seen[model]}, too"
            seen.setdefault(model, number)


def _completion(form: CompletionForm, schema: Schema, problems: list[str]) -> Completion | None:
    try:
        method = _method(form, schema)
    except ValueError as error:
        problems.append(str(error))
        return None
    problems.extend(
        f"ignore: {name} can't be ignored{instead_of(name, IGNORABLE)}"
        for name in form.ignore
        if name not in IGNORABLE
    )
    request = template.check(form.request, method.request, problems)
    parts = response.check(form.response, method.response, problems)
    if not problems:
        problems.extend(_of_both(form, request))
    if parts is None:
        return None
    return Completion(
        method.path,
        tuple(form.models),
        GetMessageClass(method.request),
        request,
        form.prompt,
        frozenset(form.ignore),
        parts,
    )


def _method(form: CompletionForm, schema: Schema) -> RpcMethod:
    methods = schema.services.get(form.service)
    if methods is None:
        raise ValueError(f"service: {schema.missing(form.service)}")
    by_name = {method.name: method for method in methods}
    if form.method not in by_name:
        near = instead_of(form.method, by_name)
        raise ValueError(f"method: {form.service} has no {form.method}{near}")
    return by_name[form.method]


def _of_both(form: CompletionForm, request: Template) -> Iterator[str]:
    used = request.used
    if "messages" in used:
        for name in ("messages.role", "messages.content"):
            if name not in used:
                yield f"request: {name} has to be in it, too"
    elif "prompt" not in used:
        yield "request: the conversation isn't in it: name $prompt, or messages with $each"
    if len(form.models) > 1 and "model" not in used:
        yield "request: $model isn't in it, and there are several models"
    if form.prompt is not None and "prompt" not in used:
        yield "prompt: it is of no use, since $prompt isn't in the request"
    if "tools" in used and form.response.tool_calls is None:
        yield "response: tool_calls is missing, and the request has tools"

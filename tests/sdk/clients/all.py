"""All clients, in the order of the table in docs/clients.md."""

from __future__ import annotations

from tests.sdk.clients.browser import EventSource, UseChat
from tests.sdk.clients.client import Client
from tests.sdk.clients.command_line import Llm
from tests.sdk.clients.javascript import JavaScript
from tests.sdk.clients.python import (
    Anthropic,
    HttpxSse,
    LangChain,
    LiteLLM,
    Ollama,
    OpenAIAsync,
    OpenAIResponses,
    OpenAISync,
)

CLIENTS: list[Client] = [
    OpenAISync(),
    OpenAIAsync(),
    JavaScript("openai (JavaScript)", "openai"),
    OpenAIResponses(),
    JavaScript("openai (JavaScript), Responses", "responses"),
    LangChain(),
    LiteLLM(),
    Llm(),
    JavaScript("ai, @ai-sdk/openai-compatible", "vercel"),
    Anthropic(),
    JavaScript("@anthropic-ai/sdk", "anthropic"),
    Ollama(),
    HttpxSse(),
    JavaScript("fetch, eventsource-parser", "eventsourceParser"),
    EventSource(),
    UseChat(),
]

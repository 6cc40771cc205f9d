"""The local model: real weights, over gRPC."""

import asyncio
import itertools
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2

from backend.engines import weights
from backend.engines.engine import Call as EngineCall
from backend.engines.engine import Delta
from backend.engines.local import local_engine
from backend.server import Server
from backend.settings import Settings
from backend.status import RpcError
from protos.completion.v1.completion_pb2 import (
    ListModelsRequest,
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    Tool,
    ToolCall,
)
from tests.backend import calls
from tests.backend.calls import Call, Client, client_of, read
from tests.conftest import eventually
from tests.processes import server_process

STORY = "Tell me a very long story about a fox and a raven."


def asking(content: str, **fields: Any) -> StreamCompletionRequest:
    return calls.asking(content, model="smollm2-135m-instruct", **fields)


async def begun(client: Client, **fields: Any) -> Call:
    """Start a long answer, and read its first message."""
    call, _ = await client.begin(asking(STORY, **fields))
    return call


async def drain(answer: AsyncIterator[Delta]) -> None:
    async for _ in answer:
        pass


async def all_ended(server: Server, *begun: Call) -> None:
    for call in begun:
        call.cancel()
    await eventually(lambda: server.open_calls == 0)


async def test_the_model_answers_through_its_chat_template(local: Client) -> None:
    answer = await local.ask(asking("Name the capital of France.", temperature=0, max_tokens=30))
    assert answer.code is grpc.StatusCode.OK
    assert "Paris" in answer.text
    assert answer.messages[0].model == "smollm2-135m-instruct"
    assert len(answer.texts) > 3
    assert answer.finish_reason == "STOP"
    usage = answer.usage
    assert usage is not None
    # The template puts its own words around those of the user.
    assert usage.prompt_tokens > 25
    assert 0 < usage.completion_tokens <= 30
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_the_model_is_listed_with_the_context_it_has(local: Client) -> None:
    listed = await local.stub.ListModels(ListModelsRequest())
    model = listed.models[0]
    assert (model.id, model.owned_by, model.context_tokens) == (
        "smollm2-135m-instruct",
        "local",
        256,
    )


async def test_max_tokens_ends_an_answer_with_length(local: Client) -> None:
    answer = await local.ask(asking(STORY, max_tokens=7))
    assert answer.finish_reason == "LENGTH"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7


async def test_the_context_ends_an_answer_with_length(local: Client) -> None:
    # Of 256 tokens, the template and these leave a few.
    messages = [Message(role=Role.ROLE_USER, content="one two " * 105)]
    answer = await local.ask(StreamCompletionRequest(messages=messages, temperature=2))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 230
    assert answer.usage.total_tokens <= 256
    assert answer.finish_reason in {"LENGTH", "STOP"}
    if answer.finish_reason == "LENGTH":
        assert answer.usage.total_tokens == 256


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"tools": [Tool(name="f")]}, "tools: the local model can't call tools"),
        ({"choices": 2}, "choices: the local model gives one answer at a time"),
    ],
    ids=["tools", "choices"],
)
async def test_what_the_model_can_t_do_is_refused(
    local: Client, fields: dict[str, Any], details: str
) -> None:
    answer = await local.ask(asking("hello", **fields))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.details == details


async def test_the_result_of_a_tool_is_refused_too(local: Client) -> None:
    call = ToolCall(id="one", name="f")
    answer = await local.ask(
        StreamCompletionRequest(
            model="smollm2-135m-instruct",
            messages=[
                Message(role=Role.ROLE_ASSISTANT, tool_calls=[call]),
                Message(role=Role.ROLE_TOOL, tool_call_id="one", content="42"),
            ],
        )
    )
    assert answer.details == "tools: the local model can't call tools"


async def test_probabilities_come_with_their_tokens(local: Client) -> None:
    answer = await local.ask(asking("Say hello.", max_tokens=8, top_logprobs=2, temperature=0))
    tokens = [token for message in answer.messages for token in message.logprobs]
    assert "".join(token.token for token in tokens) == answer.text
    assert all(token.logprob <= 0 and len(token.top) == 2 for token in tokens)


async def test_an_answer_is_the_json_that_was_asked_for(local: Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wanted = ResponseFormat(schema=json.dumps(schema))
    answer = await local.ask(asking("How many legs?", response_format=wanted, temperature=0))
    assert isinstance(json.loads(answer.text)["n"], int)


async def test_a_prompt_that_is_too_long_is_refused_with_both_lengths(local: Client) -> None:
    answer = await local.ask(asking("hello " * 300))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    told = re.fullmatch(
        r"messages: have (\d+) tokens; with the answer, 256 are the most", answer.details
    )
    assert told
    assert int(told[1]) > 300
    (violation,) = answer.detail(error_details_pb2.BadRequest).field_violations
    assert violation.field == "messages"


async def test_the_same_seed_gives_the_same_answer_whatever_else_goes_on(
    local: Client, local_server: Server
) -> None:
    # To llama.cpp, 32 bits of ones would mean a random seed.
    request = asking(STORY, temperature=1.5, seed=2**64 - 1, max_tokens=40)
    alone = await local.ask(request)
    assert len(alone.text) > 50
    neighbour = await begun(local, temperature=1.5, seed=1)
    assert (await local.ask(request)).text == alone.text
    await all_ended(local_server, neighbour)


async def test_the_same_seed_gives_the_same_answer_whatever_was_asked_before(
    local: Client, local_server: Server
) -> None:
    said = await local.ask(asking(STORY, temperature=1.5, seed=4, max_tokens=60))
    conversation = [
        Message(role=Role.ROLE_USER, content=STORY),
        Message(role=Role.ROLE_ASSISTANT, content=said.text),
        Message(role=Role.ROLE_USER, content="Go on."),
    ]
    request = StreamCompletionRequest(
        messages=conversation, temperature=1.5, seed=9, max_tokens=110
    )
    # Now llama.cpp remembers the conversation, and then nothing of it.
    remembered = await local.ask(request)
    others = [await begun(local, temperature=1.5), await begun(local, temperature=1.5)]
    await all_ended(local_server, *others)
    assert (await local.ask(request)).text == remembered.text


async def test_another_seed_and_no_seed_give_other_answers(local: Client) -> None:
    texts = [
        (await local.ask(asking(STORY, temperature=1.5, max_tokens=20, **seed))).text
        for seed in ({"seed": 1}, {"seed": 2}, {}, {})
    ]
    assert len(set(texts)) == 4


async def test_temperature_0_takes_the_likeliest_token(local: Client) -> None:
    texts = {(await local.ask(asking(STORY, temperature=0, max_tokens=15))).text for _ in range(3)}
    assert len(texts) == 1


async def test_a_stop_string_across_tokens_ends_the_answer_and_is_not_sent(
    local: Client,
) -> None:
    whole = await local.ask(asking(STORY, temperature=0, seed=1, max_tokens=40))
    tokens = whole.texts
    for index in (5, 12, 20):
        stop = tokens[index][-2:] + tokens[index + 1][:2]
        assert len(stop) == 4
        answer = await local.ask(
            asking(STORY, temperature=0, seed=1, max_tokens=40, stop=["never there", stop])
        )
        assert answer.text == whole.text.partition(stop)[0]
        assert answer.finish_reason == "STOP"


async def test_no_character_is_cut_wherever_the_answer_ends(local: Client) -> None:
    answers = [
        await local.ask(
            asking(
                "Reply only with emojis: \U0001f600\U0001f389",
                seed=3,
                temperature=1.5,
                max_tokens=most,
            )
        )
        for most in range(1, 10)
    ]
    texts = [answer.text for answer in answers]
    assert not any("\ufffd" in text for text in texts)
    assert all(longer.startswith(text) for text, longer in itertools.pairwise(texts))
    assert any(ord(character) > 0xFFFF for character in texts[-1])


async def test_more_than_can_wait_are_told_when_to_come_again(
    local: Client, local_server: Server
) -> None:
    first, second = await begun(local), await begun(local)
    waiting = asyncio.create_task(local.ask(asking("Hello.", max_tokens=1)))
    await eventually(lambda: local_server.open_calls == 3)
    refused = await local.ask(asking("Hello."))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.details == "the model is busy, and 1 requests wait for it already"
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1000
    assert not waiting.done()
    # The one that waits gets the turn of the one that leaves, while the other goes on.
    first.cancel()
    assert (await waiting).code is grpc.StatusCode.OK
    assert local_server.open_calls == 1
    await all_ended(local_server, second)


async def test_a_call_that_leaves_the_queue_makes_room(local: Client, local_server: Server) -> None:
    first, second = await begun(local), await begun(local)
    waiting = local.call(asking("Hello."))
    gone = asyncio.create_task(read(waiting))
    await eventually(lambda: local_server.open_calls == 3)
    waiting.cancel()
    await asyncio.wait([gone])
    await eventually(lambda: local_server.open_calls == 2)
    following = asyncio.create_task(local.ask(asking("Hello.", max_tokens=1)))
    first.cancel()
    assert (await following).code is grpc.StatusCode.OK
    await all_ended(local_server, second)


async def test_a_call_that_is_cancelled_while_its_prompt_is_read_gives_its_turn_away(
    local: Client, local_server: Server
) -> None:
    reading = [local.call(asking("word " * 210)) for _ in range(2)]
    gone = [asyncio.create_task(read(call)) for call in reading]
    await eventually(lambda: local_server.open_calls == 2)
    await all_ended(local_server, *reading)
    await asyncio.wait(gone)
    for _ in range(2):
        answer = await local.ask(asking("Hi.", max_tokens=1))
        assert answer.code is grpc.StatusCode.OK


async def test_a_closed_answer_stops_its_thread_and_a_closed_engine_frees_all() -> None:
    process = psutil.Process()
    before = threading.active_count(), process.num_threads()
    settings = Settings(context_tokens=2048, threads=1, max_concurrent=1)
    async with local_engine(settings) as engine:
        request = asking(STORY, max_tokens=2000, temperature=1.5)
        call = EngineCall(request, "smollm2-135m-instruct")
        answer = engine.complete(call)
        await anext(answer)
        await answer.aclose()
        # The only thread is free long before it could have generated 2000 tokens.
        async with asyncio.timeout(5):
            again = engine.complete(call)
            await anext(again)
        # The engine ends while this one is open.
    with pytest.raises(RpcError) as caught:
        await asyncio.wait_for(drain(again), 5)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.message == "the model was stopped"
    assert threading.active_count() == before[0]
    await eventually(lambda: process.num_threads() <= before[1])


async def test_a_process_with_the_model_ends_cleanly_in_mid_answer(tmp_path: Path) -> None:
    packaged = weights.packaged_weights()
    assert packaged is not None
    link = tmp_path / "My-Model.Q4.gguf"
    link.symlink_to(packaged)
    flags = ("--weights", str(link), "--threads", "1", "--shutdown-grace", "0.2")
    async with server_process("backend", *flags) as process:
        address = await process.address()
        # llama.cpp's own HTTP server can't be reached.
        listening = [
            connection.laddr.port
            for connection in psutil.Process(process.process.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == [int(address.rpartition(":")[2])]
        async with client_of(address) as client:
            request = calls.asking(STORY, model="my-model.q4", max_tokens=2000)
            call, _ = await client.begin(request)
            assert await process.stop() == 0
            answer = await read(call)
        assert answer.code is grpc.StatusCode.UNAVAILABLE
        assert answer.details == "the server is shutting down"
        assert [record["event"] for record in process.records] == [
            "listening",
            "stopping",
            "call ended",
        ]
        assert process.records[0]["models"] == ["my-model.q4", "script"]
        assert process.other_output == []

"""Whatever a backend does, a browser is told the truth, and the bridge goes on."""

import asyncio
import re
import sys
from pathlib import Path
from random import Random

import httpx
import pytest
from h2.settings import SettingCodes

from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream.transport import Transport
from tests.conftest import (
    RunningBridge,
    ask,
    eventually,
    http_client,
    on_each_transport,
    serving_bridge,
)
from tests.faults.answer import Answer, read
from tests.faults.hostile_backend import MISBEHAVIOURS, HostileBackend, saying, serving_hostile
from tests.faults.misbehaviour import TEXTS, Misbehaviour
from tests.faults.wrong_connections import GOAWAY_OF_NO_KNOWN_CODE
from tests.processes import ServerProcess, server_process

PATH = "/v1/chat/completions"
KB = 1024

CASES = [(m, after) for m in MISBEHAVIOURS.values() for after in m.after]
CASE_IDS = [f"{m.name}-{after}" for m, after in CASES]

TOO_LARGE = "A message of the backend is too large."


async def served(http: httpx.AsyncClient) -> Answer:
    return read((await http.post(PATH, json=ask(saying("good", 2)))).content)


GOOD = Answer(list(TEXTS), Status.OK, "")


async def serves_again(http: httpx.AsyncClient) -> None:
    """Wait until calls are placed on another connection than the one that is about to be gone."""
    async with asyncio.timeout(5):
        while (answer := await served(http)) != GOOD:
            assert answer.code is Status.UNAVAILABLE


async def misbehaving(
    http: httpx.AsyncClient, hostile: HostileBackend, misbehaviour: Misbehaviour, after: int
) -> Answer:
    """Ask for a misbehaviour, and let it happen when the good messages have been read."""
    request_id = f"{misbehaviour.name}-{after}"
    headers = {"x-request-id": request_id}
    if misbehaviour.deadline is not None:
        headers["x-request-timeout"] = str(misbehaviour.deadline)
    body = b""
    content = saying(misbehaviour.name, after, held=True)
    async with http.stream("POST", PATH, json=ask(content), headers=headers) as response:
        assert response.status_code == 200
        if not after:
            hostile.go_on(request_id)
        async for chunk in response.aiter_raw():
            body += chunk
            if body.count(b"\n\n") >= after:
                hostile.go_on(request_id)
    return read(body)


def sentences(answer: Answer, request_id: str) -> set[str]:
    """Return what is told of a failure that the backend gave no message for."""
    if answer.code is Status.OK:
        return {""}
    if answer.code.private:
        return {f"{answer.code.sentence} Request id: {request_id}"}
    if answer.code is Status.RESOURCE_EXHAUSTED:
        return {answer.code.sentence, TOO_LARGE}
    if answer.code is Status.DEADLINE_EXCEEDED:
        return {answer.code.sentence, *(f"The answer took longer than {n} s." for n in (0.3, 1, 2))}
    return {answer.code.sentence}


@pytest.mark.parametrize(("misbehaviour", "after"), CASES, ids=CASE_IDS)
async def test_a_browser_is_told_the_truth(
    misbehaviour: Misbehaviour,
    after: int,
    client: httpx.AsyncClient,
    hostile: HostileBackend,
    running: RunningBridge,
    transport: Transport,
) -> None:
    answer = await misbehaving(client, hostile, misbehaviour, after)
    assert answer.code in misbehaviour.expected(transport)
    good = list(TEXTS[:after])
    whole = [*good, *misbehaviour.texts]
    if answer.code is not misbehaviour.code:
        assert answer.texts in (good, whole)
    elif answer.code is Status.OK:
        assert answer.texts == whole
    else:
        assert answer.texts == good
    given = set() if answer.code.private else {*misbehaviour.messages}
    assert answer.error in (given or sentences(answer, f"{misbehaviour.name}-{after}"))
    await eventually(lambda: len(running.streams) == 0)
    await eventually(lambda: hostile.open_calls == 0)
    if misbehaviour.ends_connection:
        await serves_again(client)
    else:
        assert await served(client) == GOOD


def test_every_misbehaviour_has_its_rule_and_every_deviation_its_reason() -> None:
    for misbehaviour in MISBEHAVIOURS.values():
        assert misbehaviour.rule, misbehaviour.name
        others = misbehaviour.also | misbehaviour.grpcio
        assert bool(others) is bool(misbehaviour.deviation), misbehaviour.name
        assert misbehaviour.code not in others, misbehaviour.name


async def test_what_ends_a_stream_ends_no_other(
    client: httpx.AsyncClient,
    hostile: HostileBackend,
    running: RunningBridge,
    transport: Transport,
) -> None:
    apart = [(m, after) for m, after in CASES if not m.ends_connection]
    Random(1).shuffle(apart)

    async def ask_for(misbehaviour: Misbehaviour, after: int) -> None:
        headers = {}
        if misbehaviour.deadline is not None:
            headers["x-request-timeout"] = str(misbehaviour.deadline)
        content = saying(misbehaviour.name, after)
        answer = read((await client.post(PATH, json=ask(content), headers=headers)).content)
        assert answer.code in misbehaviour.expected(transport), (misbehaviour.name, answer)

    async with asyncio.TaskGroup() as group:
        good = [group.create_task(served(client)) for _ in apart]
        for misbehaviour, after in apart:
            group.create_task(ask_for(misbehaviour, after))
    assert [task.result() for task in good] == [GOOD] * len(apart)
    await eventually(lambda: len(running.streams) == 0)
    await eventually(lambda: hostile.open_calls == 0)


async def test_what_is_tried_again_has_one_verdict_too(
    hostile: HostileBackend, transport: Transport
) -> None:
    async with (
        serving_bridge(Settings(backend=hostile.address)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        for misbehaviour in MISBEHAVIOURS.values():
            if misbehaviour.code is Status.UNAVAILABLE:
                content = saying(misbehaviour.name)
                headers = {"x-request-timeout": "2"}
                answer = read((await http.post(PATH, json=ask(content), headers=headers)).content)
                assert answer.code in misbehaviour.expected(transport), (misbehaviour.name, answer)
                assert answer.code is not Status.OK or answer.texts == [*misbehaviour.texts]
        await eventually(lambda: len(running.streams) == 0)
        await eventually(lambda: hostile.open_calls == 0)


NO_HTTP2 = {
    "http-1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "tls": b"\x15\3\3\0\2\2\x46" * 2,
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "random": Random(2).randbytes(512),
    "goaway": b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\x0b",
    "silence": b"",
}


@on_each_transport
@pytest.mark.parametrize("greeting", NO_HTTP2.values(), ids=NO_HTTP2.keys())
async def test_a_server_that_speaks_something_else_is_not_available(greeting: bytes) -> None:
    async with (
        serving_hostile() as hostile,
        serving_bridge(Settings(backend=hostile.address)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        hostile.greeting = greeting
        headers = {"x-request-timeout": "1"}
        answer = read((await http.post(PATH, json=ask("x"), headers=headers)).content)
        assert answer.code in {Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED}
        if greeting:
            assert answer.code is Status.UNAVAILABLE
        assert answer.texts == []
        assert answer.error in {
            Status.UNAVAILABLE.sentence,
            Status.DEADLINE_EXCEEDED.sentence,
            "The answer took longer than 1 s.",
        }
        await eventually(lambda: len(running.streams) == 0)
        hostile.greeting = None
        await hostile.disconnect()
        await until_served(http)


async def until_served(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while await served(http) != GOOD:
            await asyncio.sleep(0.02)


@on_each_transport
@pytest.mark.parametrize(
    "settings",
    [
        {SettingCodes.MAX_CONCURRENT_STREAMS: 1},
        {SettingCodes.MAX_CONCURRENT_STREAMS: 3},
        {SettingCodes.INITIAL_WINDOW_SIZE: 1},
        {SettingCodes.INITIAL_WINDOW_SIZE: 20},
        {SettingCodes.HEADER_TABLE_SIZE: 0},
    ],
    ids=str,
)
async def test_a_backend_that_grants_little_serves_all_in_the_end(
    settings: dict[SettingCodes | int, int],
) -> None:
    async with (
        serving_hostile(settings) as hostile,
        serving_bridge(Settings(backend=hostile.address, retries=0)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        answers = await asyncio.gather(*(served(http) for _ in range(20)))
        assert answers == [GOOD] * 20
        await eventually(lambda: hostile.open_calls == 0)


@on_each_transport
@pytest.mark.parametrize(
    "settings",
    [{SettingCodes.MAX_CONCURRENT_STREAMS: 0}, {SettingCodes.INITIAL_WINDOW_SIZE: 0}],
    ids=str,
)
async def test_a_backend_that_grants_nothing_is_ended_by_the_deadline(
    settings: dict[SettingCodes | int, int],
) -> None:
    async with (
        serving_hostile(settings) as hostile,
        serving_bridge(Settings(backend=hostile.address)) as running,
        http_client(running.url, timeout=30) as http,
    ):
        response = await http.post(
            PATH, json=ask(saying("good")), headers={"x-request-timeout": "0.5"}
        )
        assert read(response.content).code is Status.DEADLINE_EXCEEDED
        await eventually(lambda: len(running.streams) == 0)


ABORTS = pytest.mark.xfail(
    raises=(httpx.RemoteProtocolError, httpx.NetworkError),
    reason="gRPC's core aborts the process: 'http2_status.h:264] UNREACHABLE CODE'",
)


def largest_bytes(process: ServerProcess) -> int:
    """Return the most memory that a process has ever had (``VmHWM``, proc_pid_status(5))."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * KB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_no_backend_makes_the_bridge_take_much_memory(
    hostile: HostileBackend, transport: Transport
) -> None:
    large = ("gzip-bomb", "claims-4-gb", "too-large", "trailers-1024k", "endless-continuation")
    async with (
        server_process("bridge", "--backend", hostile.address) as process,
        http_client(f"http://{await process.address()}", timeout=60) as http,
    ):
        assert await served(http) == GOOD
        before = largest_bytes(process)
        for name in large:
            content = saying(name)
            headers = {"x-request-timeout": "5"}
            answer = read((await http.post(PATH, json=ask(content), headers=headers)).content)
            assert answer.code in MISBEHAVIOURS[name].expected(transport), name
            assert largest_bytes(process) - before < 8 * Settings().max_message_bytes, name
        await until_served(http)


async def test_a_goaway_of_no_known_code_does_no_harm(
    hostile: HostileBackend, transport: Transport, request: pytest.FixtureRequest
) -> None:
    if transport == "grpcio":
        request.applymarker(ABORTS)
    async with (
        server_process("bridge", "--backend", hostile.address) as process,
        http_client(f"http://{await process.address()}", timeout=30) as http,
    ):
        content = saying(GOAWAY_OF_NO_KNOWN_CODE.name)
        answer = read((await http.post(PATH, json=ask(content))).content)
        assert answer.code in GOAWAY_OF_NO_KNOWN_CODE.expected(transport)
        await until_served(http)


@pytest.mark.parametrize("refusal", ["reset-refused-stream", "goaway-before-this"])
async def test_a_stream_that_is_refused_is_tried_again_though_retries_are_off(
    client: httpx.AsyncClient, running: RunningBridge, refusal: str
) -> None:
    headers = {"x-request-id": refusal}
    answer = read((await client.post(PATH, json=ask(saying(refusal)), headers=headers)).content)
    assert answer.code is Status.UNAVAILABLE
    assert (await running.record(refusal)).retries == 5


@pytest.mark.parametrize(("refusals", "status"), [(5, 200), (6, 503)])
async def test_a_unary_call_that_is_refused_is_tried_five_times_more(
    client: httpx.AsyncClient, hostile: HostileBackend, refusals: int, status: int
) -> None:
    hostile.refusals = refusals
    assert (await client.get("/v1/models")).status_code == status
    assert hostile.refusals == 0

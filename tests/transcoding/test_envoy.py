"""The bridge beside Envoy's transcoder: the same requests, of the same rules, to the same backend.

All in which they differ has a name, which stands with its reason in docs/transcoding.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.settings import Settings
from bridge.transcoding.formats import StreamFormat
from tests.conftest import http_client, serving_bridge
from tests.test_docs import section
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile
from tests.transcoding.envoy.alone import each_alone
from tests.transcoding.envoy.answers import Answer, Mismatch, mismatches
from tests.transcoding.envoy.asked import Asked
from tests.transcoding.envoy.differences import DIFFERENCES, Difference, named, table
from tests.transcoding.envoy.echo import BEHAVIOUR, PROTO, SERVICE
from tests.transcoding.envoy.server import serving_envoy
from tests.transcoding.envoy.together import drawn

pytestmark = [
    pytest.mark.on_default_transport,
    pytest.mark.usefixtures("transport"),
    pytest.mark.timeout(300),
]

ACCEPT = {
    StreamFormat.ARRAY: "application/json",
    StreamFormat.NDJSON: "application/x-ndjson",
    StreamFormat.SSE: "text/event-stream",
}


@dataclass(frozen=True, slots=True)
class Both:
    """Clients of the bridge, and of Envoy for each form of a stream."""

    bridge: httpx.AsyncClient
    envoys: Mapping[StreamFormat, httpx.AsyncClient]

    async def mismatches(self, asked: Asked) -> list[Mismatch]:
        """Return all in which the answers to a request differ."""
        here, there = await asyncio.gather(
            _answer(self.bridge, asked), _answer(self.envoys[asked.form], asked)
        )
        return mismatches(asked, here, there)


async def _answer(client: httpx.AsyncClient, asked: Asked) -> Answer:
    headers = {"accept": ACCEPT[asked.form]}
    content = None if asked.body is None else asked.body.encode()
    if content is not None and asked.content_type:
        headers["content-type"] = asked.content_type
    # As it stands: httpx would encode it anew, and leave out dots.
    target = {"target": asked.target.encode()}
    body = b""
    async with client.stream(
        asked.method, "/", content=content, headers=headers, extensions=target
    ) as response:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        try:
            async for part in response.aiter_raw():
                body += part
        except httpx.RemoteProtocolError:
            return Answer(response.status_code, media_type, body, broken=True)
    return Answer(response.status_code, media_type, body)


@pytest.fixture(scope="module")
async def both(
    compile_protos: Compile, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Both]:
    descriptors = compile_protos(echo=PROTO)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        backend = await enter(serving(schema_of(descriptors), BEHAVIOUR))
        settings = Settings(
            backend=backend, services=[SERVICE], descriptors=[descriptors], shutdown_grace=0
        )
        running = await enter(serving_bridge(settings))
        folder = tmp_path_factory.mktemp("envoy")
        urls = await enter(serving_envoy(folder, backend, descriptors, [SERVICE]))
        envoys = {form: await enter(http_client(url, timeout=20)) for form, url in urls.items()}
        yield Both(await enter(http_client(running.url, timeout=20)), envoys)


async def compare(both: Both, requests: Iterable[Asked], capsys: pytest.CaptureFixture[str]) -> int:
    """Ask both, print how often they differ in what, and return how many requests there were."""
    asked = list(dict.fromkeys(requests))
    times: Counter[str] = Counter()
    same = 0
    nameless: list[Mismatch] = []
    with capture_logs():
        for one in asked:
            found = {mismatch: named(mismatch) for mismatch in await both.mismatches(one)}
            same += not found
            times.update({name for names in found.values() for name in names})
            nameless += [mismatch for mismatch, names in found.items() if not names]
    with capsys.disabled():
        print(f"\n{len(asked)} requests, {same} with the same answer. The others differ in:")  # noqa: T201
        for name, count in times.most_common():
            print(f"{count:6} {name}")  # noqa: T201
    shown = "\n".join(map(str, nameless[:20]))
    assert not nameless, f"{len(nameless)} differences without a name, such as:\n{shown}"
    return len(asked)


async def test_each_odd_thing_alone_is_answered_alike_or_has_a_name(
    both: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await compare(both, each_alone(), capsys) > 3000


async def test_all_things_together_are_answered_alike_or_have_names(
    both: Both, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await compare(both, drawn(4000), capsys) > 3000


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
async def test_a_difference_that_has_a_name_is_there(both: Both, difference: Difference) -> None:
    found = [named(mismatch) for mismatch in await both.mismatches(difference.example)]
    assert [difference.name] in found


def test_the_differences_are_documented() -> None:
    assert section("docs/transcoding.md", "beside Envoy") == table()

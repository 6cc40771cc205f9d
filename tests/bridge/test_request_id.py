import httpx
import pytest

from bridge.request_id import choose
from tests.conftest import RunningBridge, ask, script


@pytest.mark.parametrize("sound", ["a", "A-b_c.d~e:f", "0" * 128, "00-4bf92f-01"])
def test_a_sound_id_is_kept(sound: str) -> None:
    assert choose(sound) == sound


@pytest.mark.parametrize("bad", [None, "", " ", "a b", "0" * 129, "a\n", "ä", 'a"b', "a/b", "<a>"])
def test_a_bad_id_is_replaced_by_a_new_one(bad: str | None) -> None:
    first, second = choose(bad), choose(bad)
    assert first != second
    assert choose(first) == first


async def test_every_response_names_its_request(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/nowhere", "/v1/models", "/docs", "/"):
        response = await http.get(path, headers={"x-request-id": "abc"})
        assert response.headers.get_list("x-request-id") == ["abc"], path


async def test_a_request_without_an_id_gets_one(http: httpx.AsyncClient) -> None:
    first, second = [(await http.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert len(first) == 32
    assert first != second


async def test_a_stream_s_record_has_the_id_that_the_response_has(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    response = await http.post("/v1/chat/completions", json=ask(script(text="a", count=1)))
    record = await bridge_server.record(response.headers["x-request-id"])
    assert record.messages >= 1


async def test_a_bad_id_never_reaches_the_record(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    response = await http.post(
        "/v1/chat/completions",
        json=ask(script(text="a", count=1)),
        headers={"x-request-id": "a b"},
    )
    assert response.headers["x-request-id"] != "a b"
    assert await bridge_server.record(response.headers["x-request-id"])
    assert "a b" not in {record.request_id for record in bridge_server.records}

"""Services that the bridge knows nothing of, asked by HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import openapi_spec_validator
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from bridge.settings import Settings
from bridge.sse import PING
from tests.conftest import DONE, RunningBridge, http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import Behaviour, schema_of, serving
from tests.transcoding.conftest import Compile

pytestmark = [on_each_transport, pytest.mark.usefixtures("no_error_is_logged")]

SHOP = """
package shop.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

// Sells things.
service Shop {
  // Returns a thing.
  rpc GetThing(GetThingRequest) returns (Thing) {
    option (google.api.http) = {get: "/v1/{name=things/*}"};
  }
  rpc MakeThing(MakeThingRequest) returns (Thing) {
    option (google.api.http) = {
      post: "/v1/{shop=shops/*}/things" body: "thing"
      additional_bindings {put: "/v1/things" body: "*"}
    };
  }
  rpc UpdateThing(MakeThingRequest) returns (Thing) {
    option (google.api.http) = {patch: "/v1/{thing.name=things/*}" body: "thing"};
  }
  // Watches things.
  rpc Watch(WatchRequest) returns (stream Thing) {
    option (google.api.http) = {get: "/v1/things:watch"};
  }
  rpc NameOf(GetThingRequest) returns (Thing) {
    option (google.api.http) = {get: "/v1/{name=things/*}/name" response_body: "name"};
  }
  rpc Photo(GetThingRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/{name=things/*}/photo"};
  }
  rpc Film(WatchRequest) returns (stream google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/film"};
  }
  rpc Upload(google.api.HttpBody) returns (Thing) {
    option (google.api.http) = {post: "/v1/upload" body: "*"};
  }
  rpc Sum(stream Thing) returns (Thing);
  rpc Talk(stream Thing) returns (stream Thing);
  rpc Peek(WatchRequest) returns (stream Thing) { option idempotency_level = NO_SIDE_EFFECTS; }
}
message GetThingRequest { string name = 1; int32 page_size = 2; }
message Thing { string name = 1; int64 price = 2; }
message MakeThingRequest { string shop = 1; Thing thing = 2; }
message WatchRequest { int32 count = 1; string fail = 2; }
"""


async def fail(context: Any, code: str) -> None:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="WHY", domain="shop"))
    unknown = any_pb2.Any(type_url="type.googleapis.com/shop.Unknown", value=b"\x01")
    status = status_pb2.Status(
        code=code_pb2.Code.Value(code), message="so it is", details=[detail, unknown]
    )
    context.set_trailing_metadata(
        (("grpc-status-details-bin", status.SerializeToString()), ("x-cost", "3"))
    )
    await context.abort(grpc.StatusCode[code], "so it is")


def get_thing(answer: Any) -> Any:
    async def get_thing(request: Any, context: Any) -> Any:
        if request.name == "things/none":
            await fail(context, "NOT_FOUND")
        metadata = dict(context.invocation_metadata())
        await context.send_initial_metadata((("x-shop", metadata.get("x-tenant", "none")),))
        context.set_trailing_metadata((("x-cost", "2"), ("x-raw-bin", b"\xff\x00")))
        return answer(name=request.name, price=1 << 60)

    return get_thing


def make_thing(answer: Any) -> Any:
    async def make_thing(request: Any, context: Any) -> Any:
        return answer(name=f"{request.shop}/{request.thing.name}", price=request.thing.price)

    return make_thing


def watch(answer: Any) -> Any:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(request.count):
            yield answer(name="a", price=number)
        if request.fail:
            await fail(context, request.fail)
        context.set_trailing_metadata((("x-cost", "2"),))

    return watch


def photo(answer: Any) -> Any:
    async def photo(request: Any, context: Any) -> Any:
        return answer(content_type="image/png", data=b"\x89PNG")

    return photo


def film(answer: Any) -> Any:
    async def film(request: Any, context: Any) -> AsyncIterator[Any]:
        for _ in range(request.count):
            yield answer(content_type="video/mp4", data=b"frame;")
        if request.fail:
            await fail(context, request.fail)

    return film


def upload(answer: Any) -> Any:
    async def upload(request: Any, context: Any) -> Any:
        return answer(name=request.content_type, price=len(request.data))

    return upload


def total(answer: Any) -> Any:
    async def total(requests: Any, context: Any) -> Any:
        things = [thing async for thing in requests]
        return answer(name="+".join(t.name for t in things), price=sum(t.price for t in things))

    return total


def talk(answer: Any) -> Any:
    async def talk(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for thing in requests:
            yield answer(name=thing.name.upper(), price=thing.price)

    return talk


BEHAVIOUR: Behaviour = {
    "GetThing": get_thing,
    "NameOf": get_thing,
    "MakeThing": make_thing,
    "UpdateThing": make_thing,
    "Watch": watch,
    "Peek": watch,
    "Photo": photo,
    "Film": film,
    "Upload": upload,
    "Sum": total,
    "Talk": talk,
}


@pytest.fixture(scope="session")
def shop(compile_protos: Compile) -> Path:
    return compile_protos(shop=SHOP, comments=True)


@pytest.fixture(scope="session")
async def shop_backend(shop: Path) -> AsyncIterator[str]:
    async with serving(schema_of(shop), BEHAVIOUR) as address:
        yield address


def settings(backend: str, **given: Any) -> Settings:
    return Settings(backend=backend, services=["shop.v1.Shop"], shutdown_grace=0, **given)


@pytest.fixture(scope="session")
async def shop_bridge(
    shop_backend: str, shop: Path, transport: str
) -> AsyncIterator[RunningBridge]:
    chosen = settings(
        shop_backend,
        descriptors=[shop],
        forward_headers=["X-Tenant"],
        return_metadata=["x-shop", "x-cost", "x-raw-bin"],
    )
    async with serving_bridge(chosen) as running:
        yield running


@pytest.fixture
async def http(shop_bridge: RunningBridge) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(shop_bridge.url, timeout=20) as client:
        yield client


async def test_a_unary_rpc_is_json(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/things/7", headers={"x-tenant": "us"})
    assert response.json() == {"name": "things/7", "price": str(1 << 60)}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-shop"] == "us"
    assert response.headers["x-cost"] == "2"
    assert response.headers["x-raw-bin"] == "/wA"


async def test_a_body_and_a_path_make_a_request(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/shops/1/things", json={"name": "x", "price": "5"})
    assert made.json() == {"name": "shops/1/x", "price": "5"}
    put = await http.put("/v1/things", json={"shop": "s", "thing": {"name": "y"}})
    assert put.json() == {"name": "s/y"}


async def test_a_path_sets_a_field_inside_the_one_that_the_body_is(
    http: httpx.AsyncClient,
) -> None:
    made = await http.patch("/v1/things/9", json={"name": "things/8", "price": 5})
    assert made.json() == {"name": "/things/9", "price": "5"}


async def test_all_routes_are_described(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    openapi_spec_validator.validate(document)
    watch = document["paths"]["/v1/things:watch"]["get"]
    assert watch["summary"] == "Watches things"
    assert "text/event-stream" in watch["responses"]["200"]["content"]
    assert "/v1/chat/completions" in document["paths"]


@pytest.mark.parametrize(
    "path", ["/v1/things/%FF", "/v1/nothing", "/v1/things/a/b", "/v1//things/7"]
)
async def test_a_path_that_no_template_matches_is_404(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_an_rpc_that_fails_is_an_http_status_with_its_details(
    http: httpx.AsyncClient,
) -> None:
    response = await http.get("/v1/things/none")
    assert response.status_code == 404
    assert response.json() == {
        "code": 5,
        "message": "so it is",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "WHY",
                "domain": "shop",
            },
            {"@type": "type.googleapis.com/shop.Unknown", "value": "AQ=="},
        ],
    }
    assert response.headers["x-cost"] == "3"


async def test_a_request_that_is_no_message_is_refused_by_its_field(
    http: httpx.AsyncClient,
) -> None:
    response = await http.get("/v1/things/7", params={"page_size": "many"})
    assert response.status_code == 400
    found = response.json()
    assert found["code"] == 3
    assert found["message"].startswith("page_size: ")
    (detail,) = found["details"]
    assert detail["fieldViolations"][0]["field"] == "page_size"


FIRST = b'data: {"name":"a"}\n\ndata: {"name":"a","price":"1"}\n\n'
END = b"id: ended\n\n" + DONE


async def test_a_stream_is_events(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/things:watch?count=2", headers={"accept": "text/event-stream"})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content == FIRST + b'event: trailers\ndata: {"x-cost":"2"}\n\n' + END


async def test_a_stream_that_fails_says_so_in_each_form(http: httpx.AsyncClient) -> None:
    async def body(accept: str) -> bytes:
        headers = {"accept": accept, "x-request-id": "r"}
        response = await http.get("/v1/things:watch?count=2&fail=ABORTED", headers=headers)
        assert response.status_code == 200
        return response.content

    error = b'{"error":{"code":10,"message":"so it is","details":['
    events = await body("text/event-stream")
    assert events.startswith(FIRST + b"event: failure\ndata: " + error)
    assert events.endswith(b"]}}\n\n" + END)
    *_, last = (await body("application/x-ndjson")).splitlines()
    assert last.startswith(error)
    assert json.loads(await body("application/json"))[2]["error"]["code"] == 10


FORMS = [
    ("text/event-stream", PING, b'data: {"name":"a"}\n\n', b"event: failure\ndata: "),
    ("application/x-ndjson", b"", b'{"name":"a"}\n', b""),
    ("application/json", b"\n", b'[{"name":"a"}', b",\n"),
]


@pytest.mark.parametrize(("accept", "beat", "message", "before"), FORMS)
async def test_a_silent_stream_shows_that_it_lives_and_tells_its_end(
    shop: Path, accept: str, beat: bytes, message: bytes, before: bytes
) -> None:
    speaks, ends = asyncio.Event(), asyncio.Event()

    def watch(answer: Any) -> Any:
        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            await speaks.wait()
            yield answer(name="a")
            await ends.wait()
            await fail(context, "ABORTED")

        return watch

    async with (
        serving(schema_of(shop), {"Watch": watch}) as address,
        serving_bridge(settings(address, descriptors=[shop], heartbeat=0.05)) as running,
        http_client(running.url, timeout=20) as http,
        http.stream("GET", "/v1/things:watch", headers={"accept": accept}) as response,
        http.stream("GET", "/v1/things:watch", headers={"accept": FORMS[0][0]}) as beside,
    ):
        assert (response.status_code, beside.status_code) == (200, 200)
        heard = beside.aiter_raw()
        for event in (speaks, ends):
            seen = b""
            while seen.count(PING) < 3:
                seen += await anext(heard)
            event.set()
        body = b"".join([part async for part in response.aiter_raw()])
    before_it, found, rest = body.partition(message)
    beats, _, error = rest.partition(before + b'{"error":{"code":10,')
    assert found
    assert error
    assert set(before_it + beats) <= set(beat)


async def test_an_array_that_is_to_be_cut_breaks(shop_backend: str, shop: Path) -> None:
    chosen = settings(shop_backend, descriptors=[shop], array_failure="cut", stream_format="array")
    async with serving_bridge(chosen) as running, http_client(running.url) as http:
        whole = await http.get("/v1/things:watch?count=2")
        assert whole.json() == [{"name": "a"}, {"name": "a", "price": "1"}]
        assert (await http.get("/v1/things:watch")).json() == []
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/v1/things:watch?count=2&fail=ABORTED")


async def test_a_stream_that_fails_at_once_is_an_http_status(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/things:watch?fail=UNAVAILABLE")
    assert response.status_code == 503
    assert response.json()["code"] == 14


async def test_an_event_source_that_has_had_all_is_told_to_stop(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/things:watch?count=1", headers={"last-event-id": "ended"})
    assert response.status_code == 204


async def test_a_field_of_the_response_can_be_the_answer(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/things/7/name")).json() == "things/7"


async def test_an_http_body_is_sent_as_it_is(http: httpx.AsyncClient) -> None:
    photo = await http.get("/v1/things/7/photo")
    assert (photo.headers["content-type"], photo.content) == ("image/png", b"\x89PNG")
    film = await http.get("/v1/film?count=3")
    assert (film.headers["content-type"], film.content) == ("video/mp4", b"frame;" * 3)
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get("/v1/film?count=3&fail=ABORTED")


async def test_an_http_body_takes_any_content(http: httpx.AsyncClient) -> None:
    sent = await http.post("/v1/upload", content=b"1234", headers={"content-type": "image/gif"})
    assert sent.json() == {"name": "image/gif", "price": "4"}


async def test_methods_without_a_rule_have_the_path_of_their_rpc(http: httpx.AsyncClient) -> None:
    for response in (
        await http.post("/shop.v1.Shop/Peek", json={"count": 1}),
        await http.get("/shop.v1.Shop/Peek?count=1"),
    ):
        assert response.content.startswith(b'data: {"name":"a"}\n\n')
    refused = await http.get("/shop.v1.Shop/Sum")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


async def test_a_stream_of_requests_is_a_line_for_each(http: httpx.AsyncClient) -> None:
    lines = b'{"name":"a","price":1}\n{"name":"b","price":"2"}\n'
    headers = {"content-type": "application/x-ndjson", "accept": "application/x-ndjson"}
    summed = await http.post("/shop.v1.Shop/Sum", content=lines, headers=headers)
    assert summed.json() == {"name": "a+b", "price": "3"}
    talked = await http.post("/shop.v1.Shop/Talk", content=lines, headers=headers)
    assert talked.content == b'{"name":"A","price":"1"}\n{"name":"B","price":"2"}\n'
    array = await http.post("/shop.v1.Shop/Sum", json=[{"name": "a"}, {"name": "b"}])
    assert array.json() == {"name": "a+b"}
    wrong = await http.post("/shop.v1.Shop/Sum", json=[{"name": "a"}, {"nome": "b"}])
    assert wrong.json()["message"].startswith("[1].nome: ")


@pytest.mark.parametrize("content_type", ["text/plain", "application/grpc-web+proto"])
async def test_a_body_that_is_not_declared_as_json_is_refused(
    http: httpx.AsyncClient, content_type: str
) -> None:
    response = await http.put("/v1/things", content=b"{}", headers={"content-type": content_type})
    assert response.status_code == 415
    assert "JSON" in response.json()["message"] or "json" in response.json()["message"]


async def test_a_timeout_that_the_client_sets_is_the_deadline_of_the_rpc(shop: Path) -> None:
    def get_thing(answer: Any) -> Any:
        async def get_thing(request: Any, context: Any) -> Any:
            if request.name == "things/late":
                await asyncio.Future()
            return answer(price=round(context.time_remaining()))

        return get_thing

    async with (
        serving(schema_of(shop), {"GetThing": get_thing}) as address,
        serving_bridge(settings(address, descriptors=[shop], deadline=60)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        default = await http.get("/v1/things/7")
        shorter = await http.get("/v1/things/7", headers={"grpc-timeout": "20S"})
        late = await http.get("/v1/things/late", headers={"grpc-timeout": "100m"})
        wrong = await http.get("/v1/things/7", headers={"grpc-timeout": "soon"})
    assert default.json() == {"price": "60"}
    assert shorter.json() == {"price": "20"}
    assert (late.status_code, late.json()["code"]) == (504, 4)
    assert (wrong.status_code, wrong.json()["code"]) == (400, 3)


async def test_a_record_names_the_rpc(http: httpx.AsyncClient, shop_bridge: RunningBridge) -> None:
    await http.get("/v1/things:watch?count=2", headers={"x-request-id": "recorded"})
    record = await shop_bridge.record("recorded")
    assert (record.method, record.messages) == ("/shop.v1.Shop/Watch", 2)

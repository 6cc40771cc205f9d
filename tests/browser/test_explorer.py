"""The explorer of services, in Chromium."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bridge.settings import Settings
from tests.browser.explorer import Explorer
from tests.browser.orders import PICTURE, Orders
from tests.conftest import eventually, free_port, http_client, serving_bridge
from tests.processes import server_process
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile

NAMES = ["Get", "Create", "Watch", "Import", "Correct", "Label", "Attach", "Find"]
ORDERS = "orders.v1.Orders"
FORMS = pytest.mark.parametrize("form", ["sse", "ndjson", "array"])


class TestMethods:
    async def test_all_are_listed_with_what_is_said_of_them(self, explorer: Explorer) -> None:
        await expect(explorer.services).to_have_text([ORDERS])
        await expect(explorer.methods).to_contain_text("Takes orders, and tells what becomes")
        streams = {"Watch": " stream", "Import": " client stream", "Correct": " bidi"}
        await expect(explorer.links).to_have_text(
            [f"{name}{streams.get(name, '')}" for name in NAMES]
        )
        await expect(explorer.intro).to_contain_text("1 service with 8 methods.")

    async def test_one_that_is_chosen_tells_of_itself(self, explorer: Explorer) -> None:
        await explorer.choose("Create")
        await expect(explorer.page.locator("#method-service")).to_have_text(ORDERS)
        await expect(explorer.line).to_have_text("POST /v1/orders")
        await expect(explorer.page.locator("#method-description")).to_have_text(
            "Makes an order of what is wanted. What the warehouse lacks is ordered there first."
        )
        await expect(explorer.links.nth(1)).to_have_attribute("aria-current", "true")
        await expect(explorer.page).to_have_title("Create · Explorer · gRPC-to-SSE bridge")

    async def test_each_has_an_address_of_its_own(self, explorer: Explorer) -> None:
        await explorer.open(f"{ORDERS}/Watch")
        await expect(explorer.title).to_have_text("Watch")
        await explorer.choose("Get")
        assert explorer.page.url.endswith(f"/explorer#{ORDERS}/Get")
        await explorer.page.go_back()
        await expect(explorer.title).to_have_text("Watch")
        await explorer.page.go_forward()
        await expect(explorer.title).to_have_text("Get")

    async def test_each_route_of_one_has_an_address(self, explorer: Explorer) -> None:
        await explorer.open(f"{ORDERS}/Watch/2")
        await expect(explorer.line).to_have_text("POST /v1/orders:watch")
        await explorer.route.select_option("GET /v1/orders:watch")
        await expect(explorer.line).to_have_text("GET /v1/orders:watch")
        await explorer.page.go_back()
        await expect(explorer.line).to_have_text("POST /v1/orders:watch")

    async def test_one_that_there_is_not_is_told_so(self, explorer: Explorer) -> None:
        await explorer.open("orders.v1.Orders/Lose")
        await expect(explorer.intro).to_contain_text("orders.v1.Orders/Lose isn't exposed")

    @pytest.mark.parametrize(
        ("words", "left"),
        [
            ("watch", ["Watch stream"]),
            ("post ORDERS create", ["Create"]),
            ("warehouse", ["Create"]),
            ("nothing", []),
        ],
    )
    async def test_a_filter_leaves_those_that_have_all_words(
        self, explorer: Explorer, words: str, left: list[str]
    ) -> None:
        await explorer.filter.fill(words)
        await expect(explorer.links).to_have_text(left)
        told = f"{len(left) or 'No'} method{'' if len(left) == 1 else 's'}"
        await expect(explorer.page.locator("#found")).to_have_text(told)

    async def test_enter_in_the_filter_chooses_the_first(self, explorer: Explorer) -> None:
        await explorer.filter.fill("import")
        await explorer.filter.press("Enter")
        await expect(explorer.title).to_have_text("Import")

    async def test_the_pages_lead_to_each_other(self, explorer: Explorer) -> None:
        pages = explorer.page.get_by_role("navigation", name="Pages")
        await expect(pages.get_by_role("link", name="API")).to_have_attribute("href", "docs")
        await pages.get_by_role("link", name="Chat").click()
        await expect(explorer.page.get_by_role("textbox", name="Question")).to_be_visible()
        await pages.get_by_role("link", name="Explorer").click()
        await expect(explorer.links.first).to_be_visible()
        explorer.problems.clear()  # that backend has no models


class TestTemplate:
    async def test_a_body_has_a_value_for_each_field(self, explorer: Explorer) -> None:
        await explorer.choose("Create")
        value = json.loads(await explorer.body.input_value())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value.pop("due"))
        assert value == {
            "customer": "",
            "price": "0",
            "state": "STATE_UNSPECIFIED",
            "items": [{"article": "", "quantity": 0, "tags": []}],
            "patience": "1.5s",
            "labels": {},
            "address": {"street": "", "town": ""},
            "note": None,
            "signature": "",
            "discount": 0,
        }

    async def test_it_is_taken_as_it_is(self, explorer: Explorer, orders: Orders) -> None:
        await explorer.choose("Create")
        await explorer.sent()
        await expect(explorer.progress).to_contain_text("Finished")
        assert orders.asked.items[0].tags == []

    async def test_a_stream_of_requests_has_a_line_for_each(self, explorer: Explorer) -> None:
        await explorer.choose("Import")
        first, second = (await explorer.body.input_value()).splitlines()
        assert first == second
        assert json.loads(first)["price"] == "0"

    async def test_it_can_be_had_back(self, explorer: Explorer) -> None:
        await explorer.choose("Create")
        template = await explorer.body.input_value()
        await explorer.body.fill("{}")
        await explorer.page.get_by_role("button", name="Back to the template").click()
        await expect(explorer.body).to_have_value(template)

    async def test_the_fields_are_told_with_their_types(self, explorer: Explorer) -> None:
        await explorer.choose("Create")
        await explorer.page.get_by_text("Fields", exact=True).click()
        fields = explorer.page.locator("#fields li")
        await expect(fields.nth(1)).to_have_text("price int64In cents.")
        await expect(fields.filter(has_text="items[].quantity")).to_have_text(
            "items[].quantity uint32"
        )

    async def test_what_is_written_stays_while_another_is_looked_at(
        self, explorer: Explorer
    ) -> None:
        await explorer.choose("Create")
        await explorer.body.fill('{"customer": "Ada"}')
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("7")
        await explorer.choose("Create")
        await expect(explorer.body).to_have_value('{"customer": "Ada"}')
        await explorer.choose("Get")
        await expect(explorer.parameter("ordersId")).to_have_value("7")


class TestRequest:
    async def test_a_path_has_its_parameters(self, explorer: Explorer, orders: Orders) -> None:
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("a/ü")
        await expect(explorer.line).to_have_text("GET /v1/orders/a%2F%C3%BC")
        await explorer.sent()
        assert orders.asked.name == "orders/a%2Fü"

    async def test_several_segments_keep_their_slashes(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        await explorer.choose("Find")
        await explorer.parameter("name").fill("a/b c")
        await expect(explorer.line).to_have_text("GET /v1/files/a/b%20c")
        await explorer.sent()
        assert orders.asked.name == "a/b c"

    async def test_a_query_has_what_is_filled_in(self, explorer: Explorer, orders: Orders) -> None:
        await explorer.choose("Watch")
        await explorer.parameter("count").fill("1")
        await explorer.parameter("state").select_option("OPEN")
        await explorer.parameter("regions").fill("north\nsouth & west")
        await explorer.parameter("since").fill("2026-01-31T12:00:00Z")
        await explorer.parameter("urgent").select_option("true")
        await explorer.sent()
        asked = orders.asked
        assert (asked.count, asked.state, asked.urgent) == (1, 1, True)
        assert list(asked.regions) == ["north", "south & west"]
        assert asked.since.ToJsonString() == "2026-01-31T12:00:00Z"

    async def test_what_a_path_needs_must_be_there(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        await explorer.choose("Get")
        await explorer.send.click()
        await expect(explorer.parameter("ordersId")).to_be_focused()
        await expect(explorer.progress).to_have_text("Nothing is sent yet")
        assert orders.asked is None

    @pytest.mark.parametrize(
        ("method", "body", "told"),
        [
            ("Create", '{"customer": }', "Unexpected token"),
            ("Create", '{"customer": "a"', "Expected"),
            ("Import", '{}\n{"a" 1}\n', "In line 2: "),
        ],
    )
    async def test_a_body_that_is_no_json_is_not_sent(
        self, explorer: Explorer, orders: Orders, method: str, body: str, told: str
    ) -> None:
        await explorer.choose(method)
        await explorer.body.fill(body)
        await explorer.send.click()
        await expect(explorer.problem).to_contain_text(told)
        await expect(explorer.body).to_be_focused()
        await expect(explorer.body).to_have_attribute("aria-invalid", "true")
        assert orders.asked is None
        await explorer.body.fill("{}")
        await expect(explorer.problem).to_be_empty()
        await explorer.sent()
        await expect(explorer.progress).to_contain_text("Finished")

    async def test_the_body_is_sent_as_it_is_written(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        await explorer.choose("Create")
        await explorer.body.fill('{"price": 1152921504606846977}')
        await explorer.body.press("Control+Enter")
        await expect(explorer.box).to_contain_text('"price": "1152921504606846977"')
        assert orders.asked.price == (1 << 60) + 1

    async def test_headers_go_along(self, explorer: Explorer, orders: Orders) -> None:
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("7")
        await explorer.page.get_by_text("Headers", exact=True).first.click()
        await explorer.page.get_by_role("textbox", name="Headers").fill("x-tenant: us")
        await explorer.sent()
        assert orders.metadata["x-tenant"] == "us"

    async def test_a_stream_of_requests_is_sent(self, explorer: Explorer) -> None:
        await explorer.choose("Import")
        await explorer.body.fill('{"price": 1}\n{"price": "2"}\n')
        await explorer.sent()
        await expect(explorer.box).to_have_text('{\n  "count": 2,\n  "price": "3"\n}')

    async def test_a_stream_of_requests_is_answered_by_one(self, explorer: Explorer) -> None:
        await explorer.choose("Correct")
        await explorer.body.fill('{"customer": "a"}\n{"customer": "b"}\n')
        await explorer.sent()
        await expect(explorer.previews).to_have_text(['{"customer":"A"}', '{"customer":"B"}'])

    @pytest.mark.parametrize("of_a_file", [False, True])
    async def test_a_content_is_sent_with_its_type(
        self, explorer: Explorer, tmp_path: Path, of_a_file: bool
    ) -> None:
        await explorer.choose("Attach")
        if of_a_file:
            file = tmp_path / "a.png"
            file.write_bytes(PICTURE)
            await explorer.page.get_by_label("File instead").set_input_files(file)
        else:
            await explorer.page.get_by_label("Content type").fill("text/x-note")
            await explorer.body.fill("no { JSON")
        await explorer.sent()
        type_, size = ("image/png", len(PICTURE)) if of_a_file else ("text/x-note", 9)
        await expect(explorer.box).to_contain_text(f'"customer": "{type_}",\n  "price": "{size}"')

    @pytest.mark.parametrize("method", ["Create", "Watch"])
    async def test_curl_sends_the_same(
        self, explorer: Explorer, orders: Orders, method: str
    ) -> None:
        await explorer.choose(method)
        if method == "Create":
            await explorer.body.fill('{"customer": "O\'Hara $HOME"}')
        else:
            await explorer.parameter("count").fill("2")
            await explorer.parameter("regions").fill("a b'c")
        await explorer.sent()
        sent, orders.asked = orders.asked, None
        command = shlex.split((await explorer.curl.text_content() or "").replace("\\\n", ""))
        assert command[0] == "curl"
        process = await asyncio.create_subprocess_exec(
            *command, "-s", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert sent == orders.asked
        assert output.endswith(b"data: [DONE]\n\n" if method == "Watch" else b"}")

    async def test_curl_is_copied(self, explorer: Explorer) -> None:
        await explorer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await explorer.choose("Watch")
        await explorer.page.get_by_text("curl", exact=True).click()
        await explorer.page.get_by_role("button", name="Copy").click()
        await expect(explorer.page.get_by_role("button", name="Copied")).to_be_visible()
        copied = await explorer.page.evaluate("navigator.clipboard.readText()")
        assert copied == await explorer.curl.text_content()
        await explorer.page.context.clear_permissions()


class TestAnswer:
    async def test_one_message_is_spread_over_lines(self, explorer: Explorer) -> None:
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("7")
        async with explorer.page.expect_response("**/v1/orders/7") as got:
            await explorer.sent()
        await expect(explorer.box).to_have_text(
            '{\n  "name": "orders/7",\n  "customer": "Ada",\n  "price": "1152921504606846976"\n}'
        )
        await expect(explorer.progress).to_have_text(re.compile(r"^Finished · \d\.\d\d s$"))
        request_id = (await (await got.value).all_headers())["x-request-id"]
        await expect(explorer.head).to_have_text(
            f"Status200 OKTypeapplication/jsonRequest id{request_id}"
        )
        await expect(explorer.status).to_have_text(re.compile("^Finished"))

    @FORMS
    async def test_messages_appear_while_the_rpc_is_open(
        self, explorer: Explorer, orders: Orders, form: str
    ) -> None:
        await explorer.choose("Watch")
        await explorer.form.select_option(form)
        await explorer.send.click()
        for number in range(1, 4):
            orders.send(name=f"orders/{number}", customer='a "] \\')
            await expect(explorer.previews).to_have_count(number)
            await expect(explorer.previews.last).to_contain_text(f"orders/{number}")
            await expect(explorer.progress).to_contain_text(f"Open · {number} message")
            await expect(explorer.answer).to_have_attribute("aria-busy", "true")
        orders.end()
        await explorer.ended()
        await expect(explorer.progress).to_contain_text("Finished · 3 messages")
        await expect(explorer.rows).to_have_text(
            [re.compile(rf'^{number} \d\.\d{{3}} s {{"name"') for number in (1, 2, 3)]
        )

    async def test_a_message_can_be_unfolded(self, explorer: Explorer) -> None:
        await explorer.choose("Watch")
        await explorer.parameter("count").fill("3")
        await explorer.sent()
        await explorer.rows.nth(1).locator("summary").click()
        await expect(explorer.rows.nth(1).locator("pre")).to_have_text(
            '{\n  "name": "orders/1",\n  "price": "1"\n}'
        )
        await expect(explorer.page.locator("#messages pre")).to_have_count(1)
        await explorer.unfold.click()
        await expect(explorer.page.locator("#messages pre")).to_have_count(3)
        await explorer.sent()
        await expect(explorer.page.locator("#messages pre")).to_have_count(3)

    @pytest.mark.parametrize("by", ["button", "escape", "leaving"])
    async def test_stop_cancels_the_rpc(self, explorer: Explorer, orders: Orders, by: str) -> None:
        await explorer.choose("Watch")
        orders.send(name="orders/1")
        await explorer.send.click()
        await expect(explorer.rows).to_have_count(1)
        assert not orders.cancelled.is_set()
        match by:
            case "button":
                await expect(explorer.stop).to_be_focused()
                await explorer.stop.click()
                await expect(explorer.send).to_be_focused()
            case "escape":
                await explorer.page.keyboard.press("Escape")
            case "leaving":
                await explorer.choose("Get")
        await eventually(orders.cancelled.is_set)
        if by != "leaving":
            await expect(explorer.progress).to_contain_text("Stopped · 1 message")
            await expect(explorer.failure).to_be_hidden()
            await expect(explorer.rows).to_have_count(1)

    @FORMS
    async def test_a_failure_after_messages_is_told_with_its_details(
        self, explorer: Explorer, orders: Orders, form: str
    ) -> None:
        await explorer.choose("Watch")
        await explorer.form.select_option(form)
        await explorer.send.click()
        orders.send(name="orders/1")
        await expect(explorer.rows).to_have_count(1)
        orders.end("UNAVAILABLE")
        await explorer.ended()
        await expect(explorer.progress).to_contain_text("Failed · 1 message")
        await expect(explorer.failure).to_contain_text("Failed with UNAVAILABLE (14)")
        await expect(explorer.failure).to_contain_text("The warehouse is closed.")
        await expect(explorer.failure.locator("pre")).to_contain_text('"WAREHOUSE_CLOSED"')
        await expect(explorer.rows).to_have_count(1)

    async def test_a_failure_before_a_message_is_told_with_its_http_status(
        self, explorer: Explorer
    ) -> None:
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("none")
        await explorer.sent()
        await expect(explorer.head).to_contain_text("Status404 Not Found")
        await expect(explorer.failure).to_contain_text("Failed with NOT_FOUND (5)")
        await expect(explorer.failure.locator("pre")).to_contain_text('"WAREHOUSE_CLOSED"')
        await expect(explorer.box).to_be_hidden()
        assert len(explorer.problems) == 1
        assert "404" in explorer.problems.pop()

    async def test_what_is_wrong_with_a_request_is_told(self, explorer: Explorer) -> None:
        await explorer.choose("Create")
        await explorer.body.fill('{"custom": 1}')
        await explorer.sent()
        await expect(explorer.failure).to_contain_text("Failed with INVALID_ARGUMENT (3)")
        await expect(explorer.failure).to_contain_text("custom")
        explorer.problems.clear()

    @FORMS
    async def test_an_answer_whose_connection_breaks_is_cut(
        self, tab: Page, orders: Orders, orders_proto: Path, transport: str, form: str
    ) -> None:
        environment = {
            "BRIDGE_BACKEND": orders.address,
            "BRIDGE_SERVICES": "*",
            "BRIDGE_DESCRIPTORS": str(orders_proto),
        }
        async with server_process("bridge", env=environment) as process:
            explorer = Explorer(tab, f"http://{await process.address()}")
            await explorer.open(f"{ORDERS}/Watch")
            await explorer.form.select_option(form)
            await explorer.send.click()
            orders.send(name="orders/1")
            await expect(explorer.rows).to_have_count(1)
            await process.stop(signal.SIGKILL)
            await explorer.ended()
            await expect(explorer.progress).to_contain_text("Cut off")
            await expect(explorer.failure).to_contain_text("The connection broke.")
            await expect(explorer.rows).to_have_count(1)
            explorer.close()

    @pytest.mark.parametrize(
        ("form", "content", "told"),
        [
            ("text/event-stream", 'data: {"a":1}\n\n', "without its last event"),
            ("text/event-stream", 'data: {"a":1}\n\ndata: {"b', "without its last event"),
            ("application/x-ndjson", '{"a":1}\n{"b', "The last line isn't whole."),
            ("application/json", '[{"a":1},\n{"b', "The array isn't closed."),
            ("application/json", '[{"a":1}', "The array isn't closed."),
        ],
    )
    async def test_an_answer_that_something_on_the_way_cuts_is_cut(
        self, explorer: Explorer, form: str, content: str, told: str
    ) -> None:
        await explorer.choose("Watch")
        await explorer.sent_and_answered("/v1/orders:watch", content_type=form, body=content)
        await expect(explorer.progress).to_contain_text("Cut off · 1 message")
        await expect(explorer.failure).to_contain_text(told)
        await expect(explorer.previews).to_have_text(['{"a":1}'])

    async def test_what_is_no_answer_of_the_bridge_is_told_so(self, explorer: Explorer) -> None:
        await explorer.choose("Get")
        await explorer.parameter("ordersId").fill("7")
        await explorer.sent_and_answered("/v1/orders/7", status=502, body="<h1>Bad Gateway</h1>")
        await expect(explorer.failure).to_contain_text("HTTP status 502")
        await expect(explorer.failure).to_contain_text("<h1>Bad Gateway</h1>")
        explorer.problems.clear()

    async def test_a_bridge_that_is_away_is_told_so(self, explorer: Explorer) -> None:
        await explorer.choose("Watch")
        await explorer.page.context.set_offline(True)
        try:
            await explorer.sent()
        finally:
            await explorer.page.context.set_offline(False)
        await expect(explorer.failure).to_contain_text("The bridge can't be reached.")
        await expect(explorer.head).to_be_empty()
        explorer.problems.clear()

    async def test_trailing_metadata_is_shown(self, explorer: Explorer) -> None:
        await explorer.choose("Watch")
        await explorer.parameter("count").fill("1")
        await explorer.sent()
        await expect(explorer.page.locator("#trailers")).to_have_text("x-cost2")

    @pytest.mark.parametrize(
        ("form", "content"),
        [
            ("application/x-ndjson", '{"error":{"code":5}}\n{"a":1}\n{"error":{"text":""}}\n'),
            ("application/json", '[{"error":{"code":5}},\n{"a":1},\n{"error":{"text":""}}]'),
        ],
    )
    async def test_what_only_looks_like_a_failure_is_a_message(
        self, explorer: Explorer, form: str, content: str
    ) -> None:
        await explorer.choose("Watch")
        await explorer.sent_and_answered("/v1/orders:watch", content_type=form, body=content)
        await expect(explorer.progress).to_contain_text("Finished · 3 messages")
        await expect(explorer.previews).to_have_text(
            ['{"error":{"code":5}}', '{"a":1}', '{"error":{"text":""}}']
        )

    @pytest.mark.parametrize(
        ("name", "size", "type_", "shown"),
        [
            ("picture", "256 bytes", "image/png", None),
            ("text", "8 bytes", "text/plain; charset=utf-8", "a  ü\n\tb"),
            ("long", "300,000 bytes", "text/plain", "x" * 100_000),
        ],
    )
    async def test_a_content_is_told_by_its_size_and_type(
        self, explorer: Explorer, name: str, size: str, type_: str, shown: str | None
    ) -> None:
        await explorer.choose("Label")
        await explorer.parameter("ordersId").fill(name)
        await explorer.sent()
        await expect(explorer.progress).to_contain_text(f"Finished · {size}")
        await expect(explorer.head).to_contain_text(f"Type{type_}")
        if shown is None:
            await expect(explorer.box).to_be_hidden()
        else:
            assert await explorer.box.locator("pre").text_content() == shown
        cut = explorer.box.get_by_text("Only the beginning of it is shown.")
        await expect(cut).to_have_count(1 if name == "long" else 0)


class TestManyMessages:
    COUNT = 5_000
    KEPT = 1_000

    @FORMS
    async def test_the_newest_are_kept_and_the_rest_is_counted(
        self, explorer: Explorer, form: str
    ) -> None:
        await explorer.choose("Watch")
        await explorer.form.select_option(form)
        await explorer.parameter("count").fill(str(self.COUNT))
        await explorer.sent()
        await expect(explorer.progress).to_contain_text("Finished · 5,000 messages")
        await expect(explorer.rows.last).to_contain_text("orders/4999")
        kept = await explorer.rows.count()
        assert self.KEPT - 100 < kept <= self.KEPT
        await expect(explorer.page.locator("#dropped")).to_have_text(
            f"The first {self.COUNT - kept:,} messages are shown no more."
        )
        await expect(explorer.rows.last).to_be_in_viewport()

    async def test_they_are_written_once_an_animation_frame(self, explorer: Explorer) -> None:
        await explorer.choose("Watch")
        await explorer.parameter("count").fill(str(self.COUNT))
        await explorer.page.evaluate(
            """() => {
                window.painted = window.written = 0;
                const count = () => { painted += 1; requestAnimationFrame(count); };
                count();
                const box = document.querySelector("#messages");
                new MutationObserver(() => { written += 1; })
                    .observe(box, { subtree: true, childList: true });
            }"""
        )
        await explorer.sent()
        # The end is written at once.
        assert await explorer.page.evaluate("0 < written && written <= painted + 1")

    async def test_stop_is_heard_among_them(self, explorer: Explorer, orders: Orders) -> None:
        await explorer.choose("Watch")
        await explorer.send.click()
        await expect(explorer.stop).to_be_visible()
        for number in range(self.COUNT):
            orders.send(name=f"orders/{number}")
        await expect(explorer.rows.last).to_be_visible()
        await explorer.stop.click()
        await eventually(orders.cancelled.is_set)
        await expect(explorer.progress).to_contain_text("Stopped")

    async def test_a_reader_who_has_scrolled_up_stays_there(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        await explorer.choose("Watch")
        await explorer.send.click()
        for number in range(200):
            orders.send(name=f"orders/{number}")
        await expect(explorer.rows).to_have_count(200)
        await explorer.box.evaluate("(box) => { box.scrollTop = 0; }")
        await explorer.page.wait_for_function("document.querySelector('#messages').scrollTop === 0")
        orders.send(name="orders/last")
        await expect(explorer.rows).to_have_count(201)
        assert await explorer.box.evaluate("(box) => box.scrollTop") == 0

    async def test_a_long_message_is_shown_in_part(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        await explorer.choose("Watch")
        await explorer.send.click()
        orders.send(customer="x" * 2_000_000)
        orders.end()
        await explorer.ended()
        await explorer.rows.locator("summary").click()
        assert len(await explorer.rows.locator("pre").text_content() or "") < 250_000
        await expect(explorer.rows).to_contain_text("Only the beginning of 2,000,015 characters")


class TestCatalog:
    async def test_without_a_service_it_says_what_to_do(
        self, tab: Page, orders: Orders, transport: str
    ) -> None:
        chosen = Settings(backend=orders.address, shutdown_grace=0)
        async with serving_bridge(chosen) as running:
            explorer = Explorer(tab, running.url)
            await explorer.open()
            await expect(explorer.intro).to_contain_text("No service is exposed")
            await expect(explorer.intro).to_contain_text(
                "bridge serve --backend orders:50051 --services"
            )
            await expect(explorer.links).to_have_count(0)
            explorer.close()
            assert explorer.problems == []

    async def test_a_backend_that_comes_late_is_awaited(
        self, tab: Page, orders_proto: Path, transport: str
    ) -> None:
        port = free_port()
        chosen = Settings(
            backend=f"127.0.0.1:{port}", services=["*"], backend_refresh=0.1, shutdown_grace=0
        )
        async with serving_bridge(chosen) as running:
            explorer = Explorer(tab, running.url)
            await explorer.open()
            await expect(explorer.intro).to_contain_text("The backends' schema can't be read.")
            schema = schema_of(orders_proto)
            async with serving(schema, Orders().behaviour(), port=port):
                await expect(explorer.links.first).to_be_visible(timeout=20_000)
            await expect(explorer.intro).to_contain_text("Choose a method")
            explorer.close()
            assert explorer.problems == []

    async def test_a_bridge_that_is_away_leaves_the_methods_and_says_so(
        self, explorer: Explorer
    ) -> None:
        stale = explorer.page.get_by_text("The methods can't be read anew")
        await explorer.page.context.set_offline(True)
        try:
            await explorer.reload.click()
            await expect(stale).to_be_visible()
        finally:
            await explorer.page.context.set_offline(False)
        await expect(explorer.links).to_have_count(8)
        await explorer.reload.click()
        await expect(stale).to_have_count(0)
        explorer.problems.clear()

    @pytest.mark.parametrize("by", ["button", "focus"])
    async def test_a_schema_that_changes_is_read_anew(
        self, tab: Page, compile_protos: Compile, transport: str, by: str
    ) -> None:
        port = free_port()
        text = """package stock.v1;
        service Stock { rpc Count(Thing) returns (Thing); %s }
        message Thing { string name = 1; %s }"""
        before = compile_protos(stock=text % ("", ""))
        after = compile_protos(stock=text % ("rpc Add(Thing) returns (Thing);", "int32 size = 2;"))
        settings = Settings(
            backend=f"127.0.0.1:{port}",
            services=["stock.v1.Stock"],
            backend_refresh=0.1,
            shutdown_grace=0,
        )
        async with serving_bridge(settings) as running, http_client(running.url) as http:

            async def described(text: str) -> None:
                async with asyncio.timeout(20):
                    while text not in (await http.get("/openapi.json")).text:
                        await asyncio.sleep(0.02)

            async with serving(schema_of(before), {}, port=port):
                await described("stock.v1.Stock/Count")
                explorer = Explorer(tab, running.url)
                await explorer.open("stock.v1.Stock/Count")
                await expect(explorer.body).to_have_value('{\n  "name": ""\n}')
            async with serving(schema_of(after), {}, port=port):
                await described("stock.v1.Stock/Add")
                if by == "button":
                    await explorer.reload.click()
                else:
                    await tab.evaluate("dispatchEvent(new Event('focus'))")
                await expect(explorer.links).to_have_text(["Count", "Add"])
                await expect(explorer.body).to_have_value('{\n  "name": "",\n  "size": 0\n}')
                explorer.close()
                assert explorer.problems == []


async def imported(explorer: Explorer, module: str, expression: str, argument: object) -> Any:
    """Evaluate an expression of what a module exports, ``its``, and of ``argument``."""
    return await explorer.page.evaluate(
        f"""async ([module, argument]) => {{
            const its = await import(module);
            return {expression};
        }}""",
        [f"{explorer.url}/web/explorer/{module}", argument],
    )


ELEMENTS = ['{"a":"] \\\\\\" ,"}', "[]", '"\\\\"', "1.50", "null", "[[1],{}]", '"\\u005b"']


class TestModules:
    async def test_an_array_can_be_split_anywhere(self, explorer: Explorer) -> None:
        array = "[" + ",\n".join(ELEMENTS) + "]"
        read = await imported(
            explorer,
            "array.js",
            """Array.from(argument, (_, offset) => {
                const reader = new its.ArrayReader();
                const parts = [argument.slice(0, offset), argument.slice(offset)];
                return [parts.flatMap((part) => [...reader.read(part)]), reader.ended];
            })""",
            array,
        )
        assert read == [[ELEMENTS, True]] * len(array)

    async def test_an_array_has_its_elements_as_soon_as_they_are_whole(
        self, explorer: Explorer
    ) -> None:
        read = await imported(
            explorer,
            "array.js",
            """(() => {
                const reader = new its.ArrayReader();
                return argument.map((part) => [[...reader.read(part)], reader.ended]);
            })()""",
            ["[", '{"a":', "1}", "\n", ',\n"b"', "]"],
        )
        assert read == [
            *([[], False], [[], False], [['{"a":1}'], False], [[], False]),
            *([['"b"'], False], [[], True]),
        ]

    @pytest.mark.parametrize("json_text", ["{}", "[]", '""', "1.50", '{"a":{},"b":[]}', *ELEMENTS])
    async def test_json_that_is_spread_says_the_same(
        self, explorer: Explorer, json_text: str
    ) -> None:
        spread = await imported(explorer, "json.js", "its.indented(argument)", json_text)
        assert spread == json.dumps(json.loads(json_text), indent=2).replace("1.5", "1.50").replace(
            '"["', '"\\u005b"'
        )

    async def test_numbers_stay_as_they_are_written(self, explorer: Explorer) -> None:
        text = '{"a":1e400,"b":12345678901234567890,"1":0.10}'
        spread = await imported(explorer, "json.js", "its.indented(argument)", text)
        assert re.sub(r"\s", "", spread) == text

    async def test_a_template_stops_at_messages_in_themselves(self, explorer: Explorer) -> None:
        schemas = {
            "A": {"properties": {"b": ref("B"), "more": {"type": "array", "items": ref("A")}}},
            "B": {"properties": {"a": ref("A"), "name": {"type": "string"}}},
        }
        assert await template(explorer, schemas) == {"b": {"name": ""}, "more": []}

    async def test_a_template_stops_somewhere(self, explorer: Explorer) -> None:
        names = [f"f{number}" for number in range(30)]
        chain: dict[str, Any] = {
            level: {"properties": {name: ref(chr(ord(level) + 1)) for name in names}}
            for level in "ABCDEFGHI"
        }
        found = json.dumps(await template(explorer, chain | {"J": {"type": "string"}}))
        assert found.count("f") <= 200


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


async def template(explorer: Explorer, schemas: dict[str, Any]) -> Any:
    """Return the template of ``A``."""
    return await imported(explorer, "template.js", "its.sample(...argument)", [ref("A"), schemas])

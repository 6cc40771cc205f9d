"""The explorer for everybody: screen readers, contrast, phones."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from tests.browser.explorer import Explorer
from tests.browser.orders import Orders
from tests.browser.test_accessibility import AXE, LISTEN, PHONE, SCHEMES, violations


class TestAxe:
    @pytest.fixture(params=SCHEMES)
    async def explorer(self, explorer: Explorer, request: pytest.FixtureRequest) -> Explorer:
        assert AXE.exists(), "these tests need axe-core: npm ci --prefix tests/browser"
        await explorer.page.emulate_media(color_scheme=request.param)
        await explorer.page.evaluate(AXE.read_text())
        return explorer

    async def test_no_state_of_the_page_has_a_violation(
        self, explorer: Explorer, orders: Orders
    ) -> None:
        page = explorer.page
        assert await violations(page) == []
        for method in ("Create", "Import", "Attach", "Find"):
            await explorer.choose(method)
            for summary in ("Fields", "Headers", "curl"):
                closed = page.locator("#request details:not([open]) summary")
                for one in await closed.filter(has_text=summary, visible=True).all():
                    await one.click()
            assert await violations(page) == []
        await explorer.choose("Create")
        await explorer.body.fill("{")
        await explorer.send.click()
        await expect(explorer.problem).not_to_be_empty()
        assert await violations(page) == []
        await explorer.choose("Watch")
        await explorer.send.click()
        for number in range(150):
            orders.send(name=f"orders/{number}")
        await expect(explorer.rows).to_have_count(150)
        assert await violations(page) == []
        await explorer.unfold.click()
        orders.end("NOT_FOUND")
        await explorer.ended()
        await page.get_by_text("All headers").click()
        assert await violations(page) == []

    async def test_nor_has_that_without_a_method(self, explorer: Explorer) -> None:
        await explorer.filter.fill("nothing")
        assert await violations(explorer.page) == []


class TestScreenReader:
    @pytest.fixture
    async def heard(self, explorer: Explorer) -> Explorer:
        await explorer.open("orders.v1.Orders/Watch")
        await explorer.page.evaluate(LISTEN)
        return explorer

    async def test_messages_are_not_said_but_the_end_is(
        self, heard: Explorer, orders: Orders
    ) -> None:
        await heard.send.click()
        for number in range(1, 4):
            orders.send(name=f"orders/{number}")
            await expect(heard.rows).to_have_count(number)
        orders.end()
        await heard.ended()
        first, last = await heard.page.evaluate("heard")
        assert first == "The request is sent."
        assert re.fullmatch(r"Finished · 3 messages · \d\.\d\d s", last)

    async def test_a_failure_is_said_once(self, heard: Explorer, orders: Orders) -> None:
        await heard.send.click()
        orders.end("UNAVAILABLE")
        await heard.ended()
        first, *rest = await heard.page.evaluate("heard")
        assert first == "The request is sent."
        assert [" ".join(one.split())[:28] for one in rest] == ["Failed with UNAVAILABLE (14)"]
        heard.problems.clear()


async def test_roles_and_names(explorer: Explorer) -> None:
    await explorer.choose("Watch")
    await explorer.parameter("count").fill("1")
    await explorer.sent()
    await expect(explorer.page.locator("body")).to_match_aria_snapshot(
        """
        - banner:
          - heading "gRPC-to-SSE bridge" [level=1]
          - navigation "Pages":
            - link "Chat"
            - link "Explorer"
            - link "API"
        - navigation "Methods":
          - search:
            - searchbox "Filter"
            - button "Reload"
          - heading "orders.v1.Orders" [level=2]
          - list:
            - listitem:
              - link "Get"
        - main:
          - region "Watch":
            - heading "Watch" [level=2]
            - list "Kind"
            - form "Request":
              - combobox "Route"
              - group "Query":
                - textbox "count"
                - textbox "fail"
                - combobox "state"
                - textbox "regions"
                - textbox "since"
                - combobox "urgent"
              - group: Headers
              - group: curl
              - button "Send"
              - combobox "Answer as"
            - region "Answer":
              - heading "Answer" [level=3]
              - button "Unfold all"
              - region "Messages":
                - list:
                  - listitem:
                    - group: /1 .* s/
        """
    )


class TestPhone:
    @pytest.fixture(params=[360, 320])
    async def phone(
        self, browser: Browser, orders_url: str, request: pytest.FixtureRequest
    ) -> AsyncIterator[Explorer]:
        context = await browser.new_context(
            **{**PHONE, "viewport": {"width": request.param, "height": 640}}
        )
        explorer = Explorer(await context.new_page(), orders_url)
        await explorer.open()
        yield explorer
        await context.close()
        assert explorer.problems == []

    @staticmethod
    async def fits(explorer: Explorer) -> bool:
        fits: bool = await explorer.page.evaluate(
            """() => {
                const { scrollWidth, clientWidth } = document.documentElement;
                return scrollWidth <= clientWidth && clientWidth === innerWidth;
            }"""
        )
        return fits

    async def test_nothing_sticks_out(self, phone: Explorer, orders: Orders) -> None:
        assert await self.fits(phone)
        for method in ("Create", "Attach", "Find", "Watch"):
            await phone.open(f"orders.v1.Orders/{method}")
            for summary in await phone.page.locator("#request summary").all():
                if await summary.is_visible():
                    await summary.click()
            assert await self.fits(phone)
        await phone.parameter("regions").fill("unbroken" * 50)
        await phone.send.click()
        orders.send(name="unbroken" * 100)
        await expect(phone.rows).to_have_count(1)
        await phone.unfold.click()
        await expect(phone.rows.locator("pre")).to_be_visible()
        assert await self.fits(phone)
        for control in (phone.stop, phone.unfold):
            box = await control.bounding_box()
            assert box
            assert box["height"] >= 24
        await expect(phone.stop).to_be_in_viewport()

    async def test_the_list_makes_room_for_the_method(self, phone: Explorer) -> None:
        await phone.links.first.click()
        await expect(phone.title).to_be_focused()
        await expect(phone.methods).to_be_hidden()
        await phone.page.get_by_role("link", name="All methods").click()
        await expect(phone.methods).to_be_visible()
        await expect(phone.title).to_be_hidden()


async def test_what_has_the_focus_is_seen(explorer: Explorer) -> None:
    await explorer.choose("Create")
    await explorer.sent()
    await explorer.page.get_by_text("curl", exact=True).click()
    controls = (explorer.filter, explorer.links.first, explorer.body, explorer.curl, explorer.box)
    for control in (*controls, explorer.send, explorer.reload):
        await control.focus()
        await explorer.page.keyboard.press("Shift+Tab")
        await explorer.page.keyboard.press("Tab")
        await expect(control).to_be_focused()
        await expect(control).to_have_css("outline-style", "solid")

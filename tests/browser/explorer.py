"""The explorer, as a person finds their way about it."""

from __future__ import annotations

from typing import Any

from playwright.async_api import ConsoleMessage, Error, Locator, Page, expect


class Explorer:
    """The explorer in a tab.

    Attributes:
        page: The tab.
        url: Of the bridge.
        problems: What the browser complained of: errors of scripts, and of the security policy.
            A test that provokes one clears it.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        self.methods = page.get_by_role("navigation", name="Methods")
        self.links = self.methods.get_by_role("link")
        self.services = self.methods.get_by_role("heading")
        self.filter = page.get_by_role("searchbox", name="Filter")
        self.reload = page.get_by_role("button", name="Reload")
        self.intro = page.locator("#intro")
        self.title = page.locator("#method-name")
        self.request = page.get_by_role("form", name="Request")
        self.line = page.locator("#line")
        self.body = page.get_by_role("textbox", name="Body")
        self.problem = page.locator("#body-problem")
        self.form = page.get_by_role("combobox", name="Answer as")
        self.route = page.get_by_role("combobox", name="Route")
        self.curl = page.locator("#curl")
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.answer = page.get_by_role("region", name="Answer")
        self.progress = page.locator("#progress")
        self.head = page.locator("#head")
        self.failure = page.locator("#failure")
        self.box = page.get_by_role("region", name="Messages")
        self.rows = page.locator("#messages li")
        self.previews = page.locator("#messages .preview")
        self.unfold = page.get_by_role("button", name="Unfold all")
        self.status = page.locator("#announcer")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _on_error(self, error: Error) -> None:
        self.problems.append(str(error))

    async def open(self, fragment: str = "") -> None:
        """Load the page, and wait until it shows a method, or says something instead."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}/explorer#{fragment}")
        await expect(self.page.locator(":is(#intro, #method):not([hidden])")).to_be_attached()

    async def choose(self, method: str) -> None:
        """Follow the link to a method."""
        await self.links.filter(has_text=method).first.click()
        await expect(self.title).to_have_text(method)

    async def ended(self) -> None:
        """Wait until the answer has ended, in whatever way."""
        await expect(self.answer).to_have_attribute("aria-busy", "false")

    async def sent(self) -> None:
        """Send, and wait until the answer has ended."""
        await self.send.click()
        await self.ended()

    async def sent_and_answered(self, path: str, **answer: Any) -> None:
        """Send, and have ``path`` answered by something on the way, until that has ended."""
        await self.page.route(f"**{path}", lambda route: route.fulfill(**answer))
        await self.sent()
        await self.page.unroute_all()

    def parameter(self, name: str) -> Locator:
        """Return the field of a parameter."""
        return self.request.get_by_label(name, exact=True)

    def close(self) -> None:
        """Listen no more to the tab."""
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)

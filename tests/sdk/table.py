"""The table of docs/clients.md: what each client sees, and the test that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from tests.sdk.clients.client import Client

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "clients.md"
TESTS = Path("tests/sdk/test_clients.py")

_SECTION = re.compile(r"(<!-- clients -->\n).*?(<!-- end -->)", re.DOTALL)

FEATURES: Mapping[str, str] = {
    "test_an_answer_is_streamed": "stream",
    "test_an_answer_comes_whole": "whole answer",
    "test_the_usage_arrives": "usage",
    "test_a_tool_is_called": "tools",
    "test_an_error_before_the_first_message_is_raised": "error before the first message",
    "test_an_error_in_mid_stream_is_raised_after_the_partial_text": "error in mid-stream",
    "test_a_connection_that_breaks_is_raised_after_the_partial_text": "connection that breaks",
    "test_a_cut_that_a_proxy_made_an_end_has_no_reason_why_it_stopped": "cut that a proxy ends",
    "test_an_answer_that_broke_is_not_paid_for_again": "resumes",
    "test_a_client_that_leaves_cancels_the_rpc": "leaving cancels the RPC",
    "test_a_request_is_sent_again_only_when_nothing_was_generated_for_it": (
        "heeds `x-should-retry`"
    ),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What a test has seen.

    Attributes:
        text: In a word or two; with the reason where the client can't.
        line: Where the test begins; 0 where there is none.
    """

    text: str
    line: int = 0

    def __str__(self) -> str:
        return f"[{self.text}](../{TESTS}#L{self.line})" if self.line else self.text


Cells = Mapping[tuple[str, str], Cell]


class Collector:
    """A plugin of pytest that collects the cells.

    Attributes:
        clients: The names of the clients, in their order.
        cells: By the names of the client and the test.
    """

    def __init__(self) -> None:
        self.clients: list[str] = []
        self.cells: dict[tuple[str, str], Cell] = {}
        self._asking: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which client each test has, and what they can't do."""
        for item in items:
            assert isinstance(item, pytest.Function)
            client = cast("Client", item.callspec.params["sdk"])
            self._asking[item.nodeid] = client.name, item.originalname
            without: Mapping[str, Mapping[str, str]] = item.module.WITHOUT
        self.clients = list(dict.fromkeys(client for client, _ in self._asking.values()))
        for test, reasons in without.items():
            for name, reason in reasons.items():
                self.cells[name, test] = Cell(f"no: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test has seen."""
        for name, text in report.user_properties if report.when == "call" else ():
            if name == "cell":
                line = (report.location[1] or 0) + 1
                self.cells[self._asking[report.nodeid]] = Cell(str(text), line)


def table(clients: list[str], cells: Cells) -> str:
    """Return the table; every client has a cell for every feature.

    Raises:
        KeyError: there is a cell that nothing fills.
    """
    lines = [
        f"| | {' | '.join(FEATURES.values())} |",
        f"|---|{'---|' * len(FEATURES)}",
        *(f"| {client} | {' | '.join(_row(client, cells))} |" for client in clients),
    ]
    return "\n".join(lines) + "\n"


def _row(client: str, cells: Cells) -> Iterator[str]:
    for test in FEATURES:
        yield str(cells[client, test])


def write(text: str) -> None:
    """Put the table into the document."""
    document = DOCUMENT.read_text()
    DOCUMENT.write_text(_SECTION.sub(lambda found: found[1] + text + found[2], document))

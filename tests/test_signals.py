"""Signals that come late, to a server that has ended well and exits."""

import pytest

from tests.processes import server_process


@pytest.mark.parametrize(
    "command",
    [
        ("backend", "--model", "script"),
        ("bridge", "--workers", "1"),
        ("bridge", "--workers", "2"),
    ],
    ids=" ".join,
)
async def test_a_signal_that_comes_late_spoils_no_clean_end(
    command: tuple[str, ...], signalled_at_exit: dict[str, str]
) -> None:
    async with server_process(*command, env=signalled_at_exit) as server:
        await server.address()
        assert await server.stop() == 0
    assert server.other_output == []

"""How the address of a backend is written, and what is found behind it."""

import pytest

from bridge.upstream.address import Endpoint, HostAddress, UnixAddress, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", HostAddress("127.0.0.1", 50051)),
        ("backend.internal:1", HostAddress("backend.internal", 1)),
        ("[::1]:65535", HostAddress("::1", 65535)),
        ("unix:/run/backend.sock", UnixAddress("/run/backend.sock")),
    ],
)
def test_an_address_is_a_host_and_a_port_or_a_path(
    text: str, address: HostAddress | UnixAddress
) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("host", ":1", "host:", "host:0", "host:65536", "host:http", "host:\u0661", "::1:1"),
        *("[host]:1", "http://host:1", "[::1]", "dns:///host:1"),
    ],
)
def test_what_is_neither_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"as in 127\.0\.0\.1:50051"):
        parse(text)


def test_the_path_of_a_unix_socket_starts_at_the_root() -> None:
    with pytest.raises(ValueError, match=r"as in unix:/a\.sock"):
        parse("unix:backend.sock")


async def test_behind_a_host_is_each_of_its_addresses_once() -> None:
    found = await parse("localhost:50051").resolve()
    assert Endpoint("127.0.0.1:50051", "localhost:50051") in found
    assert len(found) == len(set(found))


async def test_behind_an_ipv6_address_is_itself() -> None:
    assert await parse("[::1]:1").resolve() == [Endpoint("[::1]:1", "[::1]:1")]


async def test_behind_a_unix_socket_is_itself() -> None:
    assert await parse("unix:/a.sock").resolve() == [Endpoint("unix:/a.sock", "localhost")]


async def test_a_host_that_is_not_there_can_t_be_resolved() -> None:
    with pytest.raises(OSError, match=r"not known|failure"):
        await parse("nowhere.invalid:1").resolve()


async def test_what_is_no_name_of_a_host_can_t_be_resolved() -> None:
    with pytest.raises(OSError, match="it is no name of a host"):
        await parse("a..b:1").resolve()

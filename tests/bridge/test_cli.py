"""The command line, run as people run it."""

import asyncio
import shutil
import socket
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

import backend.server
from bridge import __version__
from bridge.upstream.transport import Transport
from tests.bridge.stepped import SteppedBackend
from tests.conftest import on_each_transport
from tests.processes import logging_process, run_command, server_process, with_descriptors

run = partial(run_command, "bridge")


@pytest.mark.parametrize("arguments", [["--help"], []])
async def test_help_names_the_commands(arguments: list[str]) -> None:
    status, out, err = await run(*arguments)
    assert (status, err) == (0, "")
    assert "serve" in out
    assert "check" in out


async def test_help_of_serve_names_every_setting() -> None:
    _, out, _ = await run("serve", "--help")
    for flag in ("--host", "--port", "--backend", "--cors-origins", "--config", "--log-format"):
        assert flag in out
    assert "BRIDGE_PORT" in out


async def test_the_version_is_that_of_the_package() -> None:
    assert await run("--version") == (0, f"bridge {__version__}\n", "")


async def test_a_wrong_setting_ends_with_2_and_names_the_variable() -> None:
    status, out, err = await run("serve", env={"BRIDGE_PORT": "x"})
    assert (status, out) == (2, "")
    assert err == (
        "These settings can't be used.\nBRIDGE_PORT (--port): Input should be a valid integer, "
        "unable to parse string as an integer, got 'x'\n"
    )


async def test_a_file_that_is_not_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text("port =")
    status, _, err = await run("check", "--config", str(file))
    assert status == 2
    assert f"{file} can't be read as TOML" in err


async def test_an_unknown_flag_is_told() -> None:
    status, _, err = await run("serve", "--prot", "1")
    assert status == 2
    assert "unrecognized arguments: --prot 1" in err


async def test_a_taken_port_ends_with_1_and_names_the_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = await run("serve", "--port", str(port))
    assert status == 1
    assert err == (
        f"The bridge can't listen on 127.0.0.1:{port}: Address already in use. "
        "Set BRIDGE_HOST (--host) and BRIDGE_PORT (--port) to a free address.\n"
    )


async def test_more_workers_than_can_be_listened_for_end_with_1_and_name_the_variable() -> None:
    serve = (sys.executable, "-m", "bridge", "serve", "--port", "0", "--workers", "200")
    async with logging_process(*with_descriptors("-n 64", *serve)) as bridge:
        assert await bridge.wait() == 1
    assert bridge.records == []
    assert bridge.other_output == [
        "The bridge can't listen for 200 workers: Too many open files. Set BRIDGE_WORKERS "
        "(--workers) to fewer, or raise the limit of open files (ulimit -Hn).\n"
    ]


@pytest.mark.parametrize("host", ["nowhere.invalid", "two..dots"])
async def test_a_host_that_is_not_ours_is_told(host: str) -> None:
    status, _, err = await run("serve", "--host", host)
    assert status == 1
    assert err.startswith(f"The bridge can't listen on {host}:8000: ")


async def test_localhost_is_every_address_of_it() -> None:
    async with server_process("bridge", "--host", "localhost") as bridge:
        listening = (await bridge.address()).split(",")
        port = int(listening[0].rpartition(":")[2])
        assert f"127.0.0.1:{port}" in listening
        for address in listening:
            host = address.removesuffix(f":{port}").strip("[]")
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def serving_several(tmp_path: Path) -> tuple[str, ...]:
    """Return what serves on ``several.internal``: two addresses of ours, and one that isn't."""
    hosts = tmp_path / "hosts"
    # 203.0.113.0/24 is nobody's (RFC 5737).
    addresses = ("203.0.113.7", "127.0.0.1", "127.0.0.2", "127.0.0.1")
    hosts.write_text("".join(f"{address} several.internal\n" for address in addresses))
    bind = ("sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    with_hosts = ("unshare", "--mount", "--map-root-user", *bind)
    if shutil.which("unshare") is None or not await succeeds(*with_hosts, "true"):
        pytest.skip("this system lets nobody have a hosts file of their own")
    return (*with_hosts, sys.executable, "-m", "bridge", "serve", "--host", "several.internal")


async def succeeds(*command: str) -> bool:
    return not await (await asyncio.create_subprocess_exec(*command)).wait()


async def test_the_addresses_of_a_name_that_are_here_are_listened_on_once(
    serving_several: tuple[str, ...],
) -> None:
    async with logging_process(*serving_several, "--port", "0") as bridge:
        listening = (await bridge.address()).split(",")
        assert await bridge.stop() == 0
    assert sorted(a.rpartition(":")[0] for a in listening) == ["127.0.0.1", "127.0.0.2"]
    (left_out,) = [r for r in bridge.records if r["event"] == "an address is not listened on"]
    assert left_out["address"] == "203.0.113.7"
    assert left_out["reason"] == "Cannot assign requested address"


async def test_a_name_of_which_an_address_is_taken_is_not_listened_on(
    serving_several: tuple[str, ...],
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with logging_process(*serving_several, "--port", port) as bridge:
            assert await bridge.wait() == 1
    (told,) = bridge.other_output
    assert told.startswith(
        f"The bridge can't listen on several.internal:{port}: Address already in use."
    )


@on_each_transport
async def test_check_is_0_when_the_backend_serves(backend_server: backend.server.Server) -> None:
    assert await run("check", "--backend", backend_server.address) == (
        0,
        f"The settings are good, and the backend at {backend_server.address} serves.\n",
        "",
    )


@on_each_transport
async def test_check_is_1_and_says_why_when_it_does_not() -> None:
    status, out, err = await run("check", "--backend", "127.0.0.1:1")
    assert (status, out) == (1, "")
    assert err.startswith("The backend at 127.0.0.1:1 does not serve: ")
    assert "Connection refused" in err


HEALTH = "grpc.health.v1.Health"


@on_each_transport
async def test_check_counts_what_is_exposed(backend_server: backend.server.Server) -> None:
    address = backend_server.address
    served = f"The settings are good, and the backend at {address} serves.\n"
    assert await run("check", "--backend", address, "--services", HEALTH) == (
        *(0, f"{served}Exposed: 1 service with 3 routes.\n", ""),
    )
    reflection = "grpc.reflection.v1alpha.ServerReflection"
    assert await run("check", "--backend", address, "--services", f"{HEALTH},{reflection}") == (
        *(0, f"{served}Exposed: 2 services with 4 routes.\n", ""),
    )


async def test_check_is_1_when_a_service_is_not_there(
    backend_server: backend.server.Server,
) -> None:
    arguments = ("check", "--backend", backend_server.address, "--services", "grpc.health.v1.Helth")
    assert await run(*arguments) == (
        1,
        "",
        "The services can't be exposed.\n"
        f"there is no service grpc.health.v1.Helth: did you mean {HEALTH}?\n",
    )


async def test_check_is_1_when_a_rule_is_wrong(
    backend_server: backend.server.Server, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "type: google.api.Service\n"
        "http: {rules: [{selector: grpc.health.v1.Health.Check, get: '/healthz'}]}\n"
    )
    status, out, err = await run(
        *("check", "--backend", backend_server.address, "--services", HEALTH),
        *("--http-rules", str(rules)),
    )
    assert (status, out) == (1, "")
    assert err == (
        "The services can't be exposed.\n"
        "grpc.health.v1.Health/Check: GET /healthz is a path of the bridge's own\n"
    )


async def test_check_is_1_when_the_backend_has_no_reflection(stepped: SteppedBackend) -> None:
    status, out, err = await run("check", "--backend", stepped.address, "--services", "*")
    assert (status, out) == (1, "")
    assert err == (
        "The services can't be exposed.\nUNIMPLEMENTED: The backend offers no reflection. "
        "Set BRIDGE_DESCRIPTORS to descriptor sets of its protos.\n"
    )


async def test_serve_logs_what_it_is_and_ends_with_0(
    backend_server: backend.server.Server, transport: Transport
) -> None:
    async with server_process("bridge", "--backend", backend_server.address) as bridge:
        record = await bridge.logged("listening")
        assert record["backend"] == backend_server.address
        assert record["transport"] == transport
        assert record["loop"] == ("uvloop" if find_spec("uvloop") else "asyncio")
        assert record["http"] == ("httptools" if find_spec("httptools") else "h11")
        assert await bridge.stop() == 0
    events = [r["event"] for r in bridge.records]
    assert events == ["backend health", "listening", "stopping"]
    assert bridge.other_output == []


async def test_routes_are_printed_as_a_table(backend_server: backend.server.Server) -> None:
    status, out, err = await run(
        *("routes", "--backend", backend_server.address, "--services", HEALTH)
    )
    assert (status, err) == (0, "")
    assert out == (
        "METHOD  PATH                          STREAMS   RPC\n"
        "POST    /grpc.health.v1.Health/Check  -         grpc.health.v1.Health/Check\n"
        "POST    /grpc.health.v1.Health/List   -         grpc.health.v1.Health/List\n"
        "POST    /grpc.health.v1.Health/Watch  response  grpc.health.v1.Health/Watch\n"
    )


async def test_without_a_service_there_are_no_routes() -> None:
    assert await run("routes") == (
        1,
        "",
        "No service is exposed: name some with --services, or * for all.\n",
    )


async def test_routes_of_a_backend_that_is_not_there_are_1_with_the_reason() -> None:
    status, out, err = await run("routes", "--backend", "127.0.0.1:1", "--services", "*")
    assert (status, out) == (1, "")
    assert err.startswith("The services can't be exposed.\n")
    assert err.endswith("Connection refused\n")


@pytest.mark.parametrize("command", ["serve", "check", "routes"])
async def test_descriptors_that_can_not_be_used_are_2_with_the_reason(
    command: str, tmp_path: Path
) -> None:
    path = tmp_path / "some.txt"
    path.write_text("no descriptors")
    status, _, err = await run(command, "--descriptors", str(path), "--services", "*")
    assert status == 2
    assert err == (
        "The services can't be exposed.\n"
        f"{path} is no descriptor set: make one with buf build -o {path}\n"
    )

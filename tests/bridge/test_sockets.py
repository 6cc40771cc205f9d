"""What the bridge asks of the kernel for a client's connection."""

import socket

import httpx

from tests.conftest import DONE, RunningBridge, ask, script

PATH = "/v1/chat/completions"


async def test_no_frame_waits_for_the_acknowledgement_of_the_one_before(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    response = await http.post(PATH, json=ask(script(chunks=[], finish_reason=None)))
    assert response.content == DONE
    connections = bridge_server.server.server_state.connections
    sockets = [connection.transport.get_extra_info("socket") for connection in connections]
    assert sockets
    assert all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in sockets)

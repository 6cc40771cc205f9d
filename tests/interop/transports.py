"""The transports that have to get on with every server: all that a bridge can be set to."""

from typing import get_args

from bridge.upstream.call import Connect
from bridge.upstream.transport import Transport, transport

TRANSPORTS: dict[Transport, Connect] = {name: transport(name) for name in get_args(Transport)}

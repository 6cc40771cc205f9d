"""How many connections the process's limit of file descriptors lets it have."""

from __future__ import annotations

import resource

# For the listeners, the log, files that are served, connections to backends that have no streams,
# and those that have been accepted to be refused.
_OTHERS = 128

# A backend may allow few streams on a connection, so that it gets up to 100 of these. This leaves
# 1,200 beside 12,000 of clients: enough for 12 such backends, or for hundreds that allow 100
# streams on each, as RFC 9113 advises (section 6.5.2).
_CLIENTS_TO_A_BACKEND_CONNECTION = 10


def provide(connections: int) -> int:
    """Raise the soft limit of descriptors for ``connections``, and return how many fit.

    What is connected to the backends for them gets its share, too.

    A connection beyond the limit can't be refused: it is not even accepted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + connections // _CLIENTS_TO_A_BACKEND_CONNECTION + _OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    ratio = _CLIENTS_TO_A_BACKEND_CONNECTION
    return max(1, min(connections, (soft - _OTHERS) * ratio // (ratio + 1)))

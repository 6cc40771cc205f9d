"""How many connections the process's limit of file descriptors lets it have."""

from __future__ import annotations

import resource

# For the listeners, the backend's channel, the log, files that are served, and connections that
# have been accepted to be refused.
_OTHERS = 128


def provide(connections: int) -> int:
    """Raise the soft limit of descriptors for ``connections``, and return how many fit.

    A connection beyond the limit can't be refused: it is not even accepted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - _OTHERS))

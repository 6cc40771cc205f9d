"""How much is open, for the limits: in this process, or in all workers together."""

from __future__ import annotations

import ctypes
import multiprocessing
import secrets
import struct
from collections import Counter
from hashlib import blake2b
from typing import Protocol

# What a worker has in the shared memory: two counts, and those of the clients.
_CONNECTIONS = 0
_STREAMS = 1
_CLIENTS = 2

# The counts of the clients are a count-min sketch: each client has a cell in each of some rows,
# which it may share, so that the least of them is the truth unless all are shared.
_ROWS = 4
_CELLS = 1 << 15
_HASHES = struct.Struct(f"<{_ROWS}H")


class Counts(Protocol):
    """What is open."""

    def connections(self, own: int) -> int:
        """Note that this process has ``own`` connections, and return how many there are."""
        ...

    def streams(self) -> int:
        """Return how many streams there are."""
        ...

    def streams_of(self, client: str) -> int:
        """Return how many of them are those of the address ``client``."""
        ...

    def add(self, client: str) -> None:
        """Count a stream of ``client`` that begins."""
        ...

    def remove(self, client: str) -> None:
        """Count a stream of ``client`` that has ended."""
        ...


class OwnCounts:
    """What is open in this process."""

    def __init__(self) -> None:
        self._streams = 0
        self._streams_of: Counter[str] = Counter()

    def connections(self, own: int) -> int:
        """Return ``own``."""
        return own

    def streams(self) -> int:
        """Return how many streams there are."""
        return self._streams

    def streams_of(self, client: str) -> int:
        """Return how many of them are those of the address ``client``."""
        return self._streams_of[client]

    def add(self, client: str) -> None:
        """Count a stream of ``client`` that begins."""
        self._streams += 1
        self._streams_of[client] += 1

    def remove(self, client: str) -> None:
        """Count a stream of ``client`` that has ended."""
        self._streams -= 1
        self._streams_of[client] -= 1
        if not self._streams_of[client]:
            del self._streams_of[client]


class SharedCounts:
    """What is open in all workers: memory that all read, and of which each writes its own part.

    So nothing has to be locked. Two workers that look at the same time see the same place free:
    there may be as many too many as there are workers, less one. It can be handed to a process that
    is spawned.

    Args:
        workers: How many there are.
        by_client: Whether the streams of each client are counted, too.
    """

    def __init__(self, workers: int, *, by_client: bool) -> None:
        self._size = _CLIENTS + (_ROWS * _CELLS if by_client else 0)
        self._memory = multiprocessing.get_context("spawn").RawArray(
            ctypes.c_int32, workers * self._size
        )
        # Without the key a client could choose an address that shares its cells with another's.
        self._key = secrets.token_bytes(16)

    def of_worker(self, number: int) -> WorkerCounts:
        """Return the counts as the worker ``number`` keeps and sees them."""
        cells = memoryview(self._memory).cast("B").cast("i")
        return WorkerCounts(cells, number * self._size, self._size, self._key)

    def clear(self, number: int) -> None:
        """Forget what the worker ``number``, which is no more, had open."""
        start = number * self._size
        self._memory[start : start + self._size] = [0] * self._size


class WorkerCounts:
    """What is open in all workers, as one of them keeps and sees it.

    Args:
        cells: The memory.
        start: Where the part of this worker starts.
        size: How large the part of each is.
        key: What addresses of clients are hashed with.
    """

    def __init__(self, cells: memoryview[int], start: int, size: int, key: bytes) -> None:
        self._cells = cells
        self._start = start
        self._size = size
        self._key = key

    def connections(self, own: int) -> int:
        """Note that this worker has ``own`` connections, and return how many all have."""
        self._cells[self._start + _CONNECTIONS] = own
        return self._sum(_CONNECTIONS)

    def streams(self) -> int:
        """Return how many streams all have."""
        return self._sum(_STREAMS)

    def streams_of(self, client: str) -> int:
        """Return how many of them are those of ``client``; perhaps too many, never too few."""
        return min(map(self._sum, self._cells_of(client)))

    def add(self, client: str) -> None:
        """Count a stream of ``client`` that begins."""
        self._change(client, 1)

    def remove(self, client: str) -> None:
        """Count a stream of ``client`` that has ended."""
        self._change(client, -1)

    def _change(self, client: str, by: int) -> None:
        self._cells[self._start + _STREAMS] += by
        if self._size > _CLIENTS:
            for cell in self._cells_of(client):
                self._cells[self._start + cell] += by

    def _cells_of(self, client: str) -> list[int]:
        digest = blake2b(client.encode(), key=self._key, digest_size=_HASHES.size).digest()
        hashes = enumerate(_HASHES.unpack(digest))
        return [_CLIENTS + row * _CELLS + value % _CELLS for row, value in hashes]

    def _sum(self, cell: int) -> int:
        return sum(self._cells[cell :: self._size])

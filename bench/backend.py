"""``python -m bench.backend``: a gRPC backend that does what an ``Order`` says, at little cost.

It listens on a free port, and writes a line of JSON with its address. A line on stdin is a ``Go``;
an empty line asks how many streams are held, and how late the messages were.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from array import array
from collections.abc import Callable
from functools import cached_property
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

from bench import trades
from bench.http2 import Connection, Stream
from bench.messages import Messages, Stamped
from bench.order import Go, Order
from protos.completion.v1.completion_pb2 import StreamCompletionRequest

_SECOND = 1_000_000_000

# What is written to a connection in one go while a flood lasts.
_FLOOD_BYTES = 32_768

_HEALTH = "/grpc.health.v1.Health/"
_SERVING = b"\x00\x00\x00\x00\x02\x08\x01"
_COMPLETION = "/completion.v1.CompletionService/StreamCompletion"
_UNIMPLEMENTED = 12


class Answer:
    """The answer to one order."""

    __slots__ = ("messages", "next", "order", "stream")

    def __init__(self, stream: Stream, order: Order, messages: Stamped) -> None:
        self.stream = stream
        self.order = order
        self.messages = messages
        self.next = 0

    def send(self, now: int) -> None:
        """Send the next message, stamped with ``now``."""
        self.stream.data(self.messages.message(self.next, now))
        self.next += 1

    def end(self) -> None:
        """Send the last message, and the status OK."""
        self.stream.data(self.messages.last(self.next))
        self.stream.trailers()


class Backend:
    """Serves on one socket, from one thread, with one call of ``select`` at a time.

    Timers of event loops are as fine as a millisecond. ``select`` is finer, so that messages
    which are due at times of their own are sent at times of their own.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: dict[socket.socket, Connection] = {}
        self._messages: dict[tuple[str, int], Stamped] = {}
        self._held: list[Answer] = []
        self._due: list[tuple[int, int, Answer]] = []
        self._floods: dict[Connection, list[Answer]] = {}
        self._order_of_arrival = count()
        self._flood_ends = 0
        self._late = array("q")

    @cached_property
    def _watch(self) -> trades.Watch:
        return trades.Watch()

    def serve(self) -> None:
        """Serve until stdin ends."""
        while self._wait_and_read():
            self._send_what_is_due()
            self._flood()
            for client, connection in tuple(self._connections.items()):
                if not connection.flush():
                    self._lose(client)

    def _wait_and_read(self) -> bool:
        """Wait until there is something to do, and read; return whether to go on."""
        writing = [s for s, c in self._connections.items() if self._wants_to_write(c)]
        reading = [sys.stdin, self._listener, *self._connections]
        readable, _, _ = select.select(reading, writing, [], self._seconds_to_the_next())
        for source in readable:
            if source is sys.stdin:
                if not self._command(os.read(sys.stdin.fileno(), 65536)):
                    return False
            elif source is self._listener:
                self._accept()
            elif isinstance(source, socket.socket) and not self._connections[source].read():
                self._lose(source)
        return True

    def _wants_to_write(self, connection: Connection) -> bool:
        return bool(connection.unsent) or any(
            answer.stream.has_room(answer.messages.size)
            for answer in self._floods.get(connection, ())
        )

    def _seconds_to_the_next(self) -> float | None:
        if self._due:
            return max(0.0, (self._due[0][0] - time.monotonic_ns()) / _SECOND)
        if self._floods:
            return max(0.0, (self._flood_ends - time.monotonic_ns()) / _SECOND)
        return None

    def _command(self, data: bytes) -> bool:
        for line in data.splitlines():
            if line:
                self._go(Go.from_json(line))
            else:
                self._tell()
        return bool(data)

    def _go(self, go: Go) -> None:
        self._late = array("q")
        self._flood_ends = go.end
        held, self._held = self._held, []
        for answer in held:
            self._begin(answer, go.start)

    def _tell(self) -> None:
        late = sorted(self._late) or [0]
        told = {
            "held": sum(answer.stream.open for answer in self._held),
            "late_p99": late[len(late) * 99 // 100],
            "late_max": late[-1],
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self._connections[client] = Connection(client, self._serve)

    def _lose(self, client: socket.socket) -> None:
        connection = self._connections.pop(client)
        self._floods.pop(connection, None)
        connection.close()

    def _serve(self, stream: Stream) -> None:
        stream.headers()
        if stream.path == _COMPLETION:
            request = StreamCompletionRequest.FromString(bytes(stream.body[5:]))
            self._answer(stream, Order.from_json(request.messages[-1].content), Messages)
        elif stream.path == trades.PATH:
            order = self._watch.order(bytes(stream.body[5:]))
            self._answer(stream, order, self._watch.messages)
        elif stream.path.startswith(_HEALTH):
            stream.data(_SERVING)
            if stream.path.endswith("Check"):
                stream.trailers()
        else:
            stream.trailers(_UNIMPLEMENTED)

    def _answer(self, stream: Stream, order: Order, of_size: Callable[[int], Stamped]) -> None:
        key = stream.path, order.size
        messages = self._messages.get(key)
        if messages is None:
            messages = self._messages[key] = of_size(order.size)
        answer = Answer(stream, order, messages)
        if order.held:
            self._held.append(answer)
        else:
            self._begin(answer, time.monotonic_ns())

    def _begin(self, answer: Answer, start: int) -> None:
        if answer.order.rate:
            first = start + int(answer.order.phase / answer.order.rate * _SECOND)
            heappush(self._due, (first, next(self._order_of_arrival), answer))
        else:
            self._floods.setdefault(answer.stream.connection, []).append(answer)

    def _send_what_is_due(self) -> None:
        due = self._due
        if not due:
            return
        now = time.monotonic_ns()
        while due and due[0][0] <= now:
            at, number, answer = heappop(due)
            order = answer.order
            if not answer.stream.open:
                continue
            if answer.next == order.messages:
                answer.end()
                continue
            self._late.append(now - at)
            answer.send(now)
            if answer.next == order.messages:
                answer.end()
            else:
                heappush(due, (at + int(_SECOND / order.rate), number, answer))

    def _flood(self) -> None:
        now = time.monotonic_ns()
        for connection in tuple(self._floods):
            if not connection.unsent:
                self._flood_connection(connection, now)

    def _flood_connection(self, connection: Connection, now: int) -> None:
        answers = self._floods[connection]
        written = 0
        while written < _FLOOD_BYTES:
            sent = 0
            for answer in answers:
                size = answer.messages.size
                if not self._is_over(answer, now) and answer.stream.has_room(size):
                    answer.send(now)
                    sent += size
            if not sent:
                break
            written += sent
        for answer in answers:
            if self._is_over(answer, now) and answer.stream.open:
                answer.end()
        left = [answer for answer in answers if not self._is_over(answer, now)]
        if left:
            self._floods[connection] = left
        else:
            del self._floods[connection]

    def _is_over(self, answer: Answer, now: int) -> bool:
        if not answer.stream.open:
            return True
        most = answer.order.messages
        return now >= self._flood_ends if most is None else answer.next >= most


def main() -> None:
    """Serve until stdin ends."""
    # The kernel may wake a process later than it has asked for, by 50 microseconds unless told.
    Path("/proc/self/timerslack_ns").write_text("1")
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        host, port = listener.getsockname()
        sys.stdout.write(json.dumps({"address": f"{host}:{port}"}) + "\n")
        sys.stdout.flush()
        Backend(listener).serve()


if __name__ == "__main__":
    main()

"""The transport on ``grpc.aio``, the C core's client for asyncio."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic

from google.protobuf.message import DecodeError, Message

from bridge.status import Status
from bridge.upstream.address import Endpoint
from bridge.upstream.call import (
    Call,
    CallObserver,
    Channel,
    ChannelOptions,
    Metadata,
    Method,
    Request,
    Response,
    RpcError,
)
from bridge.upstream.credentials import Tls
from bridge.upstream.metadata import custom

# The core writes to stderr what it thinks of its peers, past our log and its format, unless it
# finds this when it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from grpc import aio

# Trailers between the first of these limits and the second are refused at random, the more often
# the larger they are: a status of 12 KB would get through every other time.
_METADATA_LIMITS = ("grpc.max_metadata_size", "grpc.absolute_max_metadata_size")
_METADATA_BYTES = 16 * 1024

# The core waits up to two minutes before it tries a lost backend again: far longer than
# people wait for a page. The least pause stays as it is, since the core also takes it for the
# time in which a connection has to be made.
# And the core widens the window of a fast connection to megabytes, all of which a client that
# doesn't read would make us hold; 64 KB a stream carry a megabyte a second at 60 ms to the backend.
_OPTIONS = [
    ("grpc.http2.bdp_probe", 0),
    # Channels to the same endpoint would share a connection.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    *((name, _METADATA_BYTES) for name in _METADATA_LIMITS),
]

# What the core says of a call that it ended itself, since the answer was wrong. It leaves no other
# mark on such a status.
_FROM_THE_CORE = re.compile(r"Stream removed \(|Received http2 header with status: |Decompress")
_TOO_LARGE = re.compile(r"(CLIENT: Received|Decompressed) message larger than max")
_NOT_HTTP2 = "Stream removed (Failed parsing HTTP/2"

# The core gives UNAVAILABLE to what a server never answered, with a message made of addresses
# and system errors.
_NOT_FROM_THE_SERVER = re.compile(
    r"failed to connect to all addresses|(DNS|name) resolution failed|Socket closed|"
    r"Cancelling all calls|Stream removed|Broken pipe|(recvmsg|sendmsg|connect):|"
    r"Connection (reset|refused|timed out|aborted)|GOAWAY received|keepalive watchdog|"
    r"ping timeout|(ipv4|ipv6|unix|dns):",
    re.IGNORECASE,
)

# RFC 9113, section 8.7. A server refuses a stream beyond its MAX_CONCURRENT_STREAMS, which the
# core sends when it counts one as ended that the server doesn't yet. Section 6.8: of what comes
# after the last stream that a GOAWAY names, nothing is served. (A stream before that which breaks
# later has "Socket closed (GOAWAY received".)
_UNPROCESSED = re.compile(
    r"Stream removed \((RST_STREAM \(Received RST_STREAM with error code 7|GOAWAY received)"
)

# gRPC logs an error with its trace for each status message or trailer that is not UTF-8: a broken
# backend would fill the log.
logging.getLogger("grpc._cython.cygrpc").addFilter(
    lambda record: not record.getMessage().startswith("Invalid encoding on b")
)

StreamingCall = aio.UnaryStreamCall[bytes, bytes] | aio.StreamStreamCall[bytes, bytes]


def connect(
    endpoint: Endpoint, options: ChannelOptions, tls: Tls | None, observer: CallObserver
) -> Channel:
    """Return a channel to ``endpoint``, which connects with its first RPC."""
    arguments = _arguments(endpoint, options)
    if tls is None:
        make = partial(aio.insecure_channel, endpoint.target, options=arguments)
    else:
        credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
        make = partial(aio.secure_channel, endpoint.target, credentials, options=arguments)
    return GrpcioChannel(make, endpoint.target, observer)


def _arguments(endpoint: Endpoint, options: ChannelOptions) -> list[tuple[str, str | int]]:
    authority = options.authority or endpoint.authority
    name = re.sub(r":\d+$", "", authority).strip("[]")
    arguments: list[tuple[str, str | int]] = [
        *_OPTIONS,
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.default_authority", authority),
        ("grpc.ssl_target_name_override", name),
    ]
    if options.keepalive:
        arguments += [
            ("grpc.keepalive_time_ms", int(options.keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", int(options.keepalive_timeout * 1000)),
            # The one above ends a connection whose bytes aren't acknowledged by TCP; a ping that
            # isn't answered waits for a minute unless this is set.
            ("grpc.http2.ping_timeout_ms", int(options.keepalive_timeout * 1000)),
            # The core stops pinging after two pings without data of its own in between.
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return arguments


class GrpcioChannel:
    """A ``grpc.aio.Channel`` as a ``Channel``.

    The core's pause after an attempt to connect can't be cut short. So ``reconnect`` leaves the
    core's channel for a new one, and closes it when the calls that are still on it have ended.
    """

    def __init__(
        self, make: Callable[[], aio.Channel], target: str, observer: CallObserver
    ) -> None:
        self._make = make
        self._channel = make()
        self._target = target
        self._observer = observer
        self._open_calls: Counter[aio.Channel] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def stream(
        self,
        method: Method[Request, Response],
        requests: Sequence[Request],
        metadata: Metadata = (),
        *,
        deadline: float | None,
    ) -> Call[Response]:
        """Start an RPC of any kind that has ``deadline`` seconds.

        Raises:
            EncodeError: a request can't be sent.
        """
        channel = self._channel
        raw = [request.SerializeToString() for request in requests]
        call = _start(channel, method.path, raw, metadata, deadline)
        self._call_began(channel)
        call.add_done_callback(lambda _: self._call_ended(channel))
        return GrpcioCall(call, method.parse, self._target, self._observer)

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        metadata: Metadata = (),
        *,
        deadline: float,
    ) -> Response:
        """Run a unary RPC that has ``deadline`` seconds."""
        channel = self._channel
        run: aio.UnaryUnaryMultiCallable[Request, bytes]
        run = channel.unary_unary(method.path, _serialize)
        self._call_began(channel)
        try:
            raw = await run(request, metadata=tuple(metadata), timeout=deadline)
            return method.parse(raw)
        except (aio.AioRpcError, DecodeError) as error:
            failure = _translate(error)
            self._observer.call_failed(failure)
            raise failure from error
        finally:
            self._call_ended(channel)

    def reconnect(self) -> None:
        """Let the next RPC connect at once, with no pause after an attempt that has failed."""
        if self._channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            left, self._channel = self._channel, self._make()
            self._close_if_done_with(left)

    async def close(self) -> None:
        """Cancel what is open and close the connection."""
        self._closed = True
        for channel in {self._channel, *self._open_calls}:
            await channel.close()
        await asyncio.gather(*self._closing)

    def _call_began(self, channel: aio.Channel) -> None:
        self._open_calls[channel] += 1
        self._observer.call_began()

    def _call_ended(self, channel: aio.Channel) -> None:
        self._open_calls[channel] -= 1
        self._close_if_done_with(channel)
        self._observer.call_ended()

    def _close_if_done_with(self, channel: aio.Channel) -> None:
        if channel is not self._channel and not self._open_calls[channel] and not self._closed:
            del self._open_calls[channel]
            closing = asyncio.create_task(channel.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _start(
    channel: aio.Channel,
    path: str,
    requests: Sequence[bytes],
    metadata: Metadata,
    deadline: float | None,
) -> StreamingCall:
    if len(requests) == 1:
        start_one: aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        return start_one(requests[0], metadata=tuple(metadata), timeout=deadline)
    start: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    call = start(metadata=tuple(metadata), timeout=deadline)
    sending = asyncio.create_task(_send(call, requests))
    # A write that fails since the RPC has ended would put INTERNAL in the place of the backend's
    # status, if it weren't cancelled: https://github.com/grpc/grpc/issues/36066.
    call.add_done_callback(partial(_stop, sending))
    return call


def _stop(sending: asyncio.Task[None], _: object) -> None:
    sending.cancel()


async def _send(call: aio.StreamStreamCall[bytes, bytes], requests: Sequence[bytes]) -> None:
    # Who iterates is told how the RPC ended.
    with suppress(aio.AioRpcError, aio.InternalError, asyncio.InvalidStateError):
        for request in requests:
            await call.write(request)
        await call.done_writing()


class GrpcioCall(Generic[Response]):
    """A call of ``grpc.aio`` as a ``Call``."""

    def __init__(
        self,
        call: StreamingCall,
        parse: Callable[[bytes], Response],
        backend: str,
        observer: CallObserver,
    ) -> None:
        self._call = call
        self._parse = parse
        self._observer = observer
        self.backend = backend
        self.metadata: Metadata = ()
        self.trailers: Metadata = ()

    async def __aiter__(self) -> AsyncIterator[tuple[Response]]:
        parse = self._parse
        try:
            # Empty when grpc.aio is told of the end first, as of a short answer without messages.
            self.metadata = custom(await self._call.initial_metadata())
            async for raw in self._call:
                yield (parse(raw),)
            self.trailers = custom(await self._call.trailing_metadata())
        except (aio.AioRpcError, DecodeError) as error:
            failure = _translate(error)
            self._observer.call_failed(failure)
            raise failure from error
        except RpcError as error:
            self._observer.call_failed(error)
            raise
        except asyncio.CancelledError:
            # grpc.aio raises this for a cancelled RPC, and asyncio for a cancelled task.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RpcError(Status.CANCELLED, "The call was cancelled.") from None

    def relay(self, take: Callable[[Sequence[Response]], bool]) -> None:
        """Leave all messages to the iteration: they come from another thread."""

    def cancel(self) -> None:
        """Cancel the RPC at once."""
        self._call.cancel()


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _translate(error: aio.AioRpcError | DecodeError) -> RpcError:
    if isinstance(error, DecodeError):
        return RpcError(Status.INTERNAL, f"A message of the backend can't be read: {error}")
    status = Status.from_code(error.code().value[0])
    details = error.details() or ""
    trailers = tuple(error.trailing_metadata() or ())
    if status is Status.RESOURCE_EXHAUSTED and _TOO_LARGE.search(details):
        return RpcError(status, "A message of the backend is too large.", trailers, details)
    if details.startswith(_NOT_HTTP2):
        # The connection is broken, with every call that is on it, and the core says UNKNOWN.
        return RpcError(Status.UNAVAILABLE, cause=details)
    if _FROM_THE_CORE.match(details) or (
        status is Status.UNAVAILABLE and _NOT_FROM_THE_SERVER.search(details)
    ):
        unprocessed = _UNPROCESSED.match(details) is not None
        return RpcError(status, trailers=trailers, cause=details, unprocessed=unprocessed)
    return RpcError(status, details, trailers)

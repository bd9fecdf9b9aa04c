"""What an answer of httpx or httpx2 says, read ahead of its caller: see ``_wire.response_body``.

Over a socket, what comes is left in the buffers of httpcore (h11's, and the events of an HTTP/2
stream), and looked at there: a read that times out inside httpcore would end the answer. Streams
that are not httpcore's are iterated, and iterated again by the caller.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator
from copy import deepcopy
from typing import Any

from lattice_client._run_steps import run, run_async
from lattice_client._wire.response_body import LONGEST, is_whole, known, note, too_long, was_read

__all__ = ["discard_httpx", "discard_httpx_async", "read_httpx", "read_httpx_async"]

_Steps = Generator[tuple[str, Any], Any, bytes | None]

# In seconds: how long a socket is waited for before it is seen what other threads have read for us.
_GLANCE = 0.05
# Wrappers around httpcore's stream: httpx's two and the pool's, and some to spare.
_DEEPEST = 8


def read_httpx(response: Any, seconds: float) -> bytes | None:
    """The plain body of a response; None where it does not come within the limits."""
    wire = _Wire(response)
    run(wire.steps(seconds), wire)
    return known(response)


async def read_httpx_async(response: Any, seconds: float) -> bytes | None:
    """As :func:`read_httpx`."""
    wire = _AsyncWire(response)
    try:
        await run_async(wire.steps(seconds), wire)
    except BaseException:  # cancelled, and handed out to no one
        await response.aclose()
        raise
    return known(response)


def discard_httpx(response: Any, seconds: float) -> None:
    """Let go of an answer. Its connection is used again where all of the answer has come.

    What a transport other than the library's own has given is closed unread: a single read of it
    may take as long as that transport lets it.
    """
    try:
        if _core(response.stream) is not None:
            read_httpx(response, seconds)
        if is_whole(response):
            for _ in response.stream:
                pass
    finally:
        response.close()


async def discard_httpx_async(response: Any, seconds: float) -> None:
    """As :func:`discard_httpx`."""
    try:
        if _core(response.stream) is not None:
            await read_httpx_async(response, seconds)
        if is_whole(response):
            async for _ in response.stream:
                pass
    finally:
        await response.aclose()


class _Wire:
    """What brings a response, and the steps of reading it."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._library = _library_of(response)
        stream = _core(response.stream)
        connection = getattr(stream, "_connection", None)
        self._network: Any = getattr(connection, "_network_stream", None)
        self._request: Any = getattr(stream, "_request", None)
        # HTTP/1.1: h11's state. HTTP/2: the stream's number, the events of all streams, and what
        # reads more of them.
        self._http1: Any = getattr(connection, "_h11_state", None)
        self._number: Any = getattr(stream, "_stream_id", None)
        self._events: Any = getattr(connection, "_events", None)
        self._receive_events: Any = getattr(connection, "_receive_events", None)
        self._pieces: Any = None

    def steps(self, seconds: float) -> Generator[tuple[str, Any], Any, None]:
        response = self._response
        if was_read(response):
            return
        if hasattr(response, "_content"):  # made of it, or read by the caller's own hook
            note(response, response.content)
            return
        raw = None
        if not too_long(response.headers):
            until = time.monotonic() + seconds
            if self._http1 is not None:
                raw = yield from self._of_http1(until)
            elif self._number is not None:
                raw = yield from self._of_http2(until)
            else:
                raw = yield from self._of_pieces(until)
        note(response, raw, response.headers.get("Content-Encoding"))

    # HTTP/1.1: a copy of h11's state tells where the body ends, and both are given what comes.

    def _of_http1(self, until: float) -> _Steps:
        import h11

        state: Any = self._http1
        probe, body = deepcopy(state), bytearray()
        came = len(state.trailing_data[0])
        while len(body) <= LONGEST:
            try:
                event = probe.next_event()
            except h11.RemoteProtocolError:
                return None
            if isinstance(event, h11.Data):
                body += event.data
            elif event is not h11.NEED_DATA:
                return bytes(body) if isinstance(event, h11.EndOfMessage) else None
            else:
                left = until - time.monotonic()
                if left <= 0 or came > LONGEST:
                    return None
                try:
                    data = yield "read", left
                except Exception as error:  # noqa: BLE001 httpcore's, of either library
                    if "Timeout" not in type(error).__name__:
                        # Behind it the connection looks as if it had ended well.
                        self._breaks_off([bytes(body)], error)
                    return None
                came += len(data)
                for each in (state, probe):
                    each.receive_data(data)
        return None

    def read(self, seconds: float) -> Any:
        """Some bytes from the network; an awaitable of them in an asynchronous client."""
        users = self._request.extensions.get("timeout", {}).get("read")
        return self._network.read(LONGEST, seconds if users is None else min(users, seconds))

    def _breaks_off(self, pieces: list[bytes], error: Exception) -> None:
        own = getattr(self._library, type(error).__name__, self._library.ReadError)
        self._response.stream = _again(
            self._library, pieces, None, own(str(error)), self._response.stream
        )

    # HTTP/2: httpcore keeps the events of each stream until they are asked for.

    def _of_http2(self, until: float) -> _Steps:
        number, held = self._number, list[Any]()
        body = bytearray()
        try:
            while True:
                # Nothing is read from the network while there are any.
                events = self._events[number]
                new = events[:]
                events.clear()
                held += new
                for event in new:
                    match type(event).__name__:
                        case "DataReceived":
                            body += event.data
                        case "StreamEnded":
                            return bytes(body)
                        case "StreamReset":
                            return None
                left = until - time.monotonic()
                if left <= 0 or len(body) > LONGEST:
                    return None
                try:
                    yield "receive", left
                except Exception:  # noqa: BLE001 the caller meets it too
                    return None
        finally:
            if number in self._events:
                self._events[number][:0] = held

    def receive(self, seconds: float) -> Any:
        """Wait for something on the network, and have it dealt out to the streams.

        Where other threads use the connection, it may take as long as their reads.
        """
        sock = self._network.get_extra_info("socket")
        pending = getattr(sock, "pending", None)
        # Not with a time-out of httpcore's, which would end all streams of the connection.
        if not (pending and pending()) and not _comes(sock, min(seconds, _GLANCE)):
            return
        self._receive_events(self._request, self._number)

    # Whatever else a transport may give.

    def _of_pieces(self, until: float) -> _Steps:
        body, pieces, error = bytearray(), [], None
        stream = self._response.stream
        self._pieces = self._iterator(stream)
        try:
            while len(body) <= LONGEST and time.monotonic() < until:
                piece = yield "piece", None
                if piece is None:
                    return bytes(body)
                pieces.append(piece)
                body += piece
        except Exception as met:  # noqa: BLE001 the caller meets it too
            error = met
        finally:
            self._response.stream = _again(self._library, pieces, self._pieces, error, stream)
        return None

    def _iterator(self, stream: Any) -> Any:
        return iter(stream)

    def piece(self, _: object) -> Any:
        return next(self._pieces, None)


class _AsyncWire(_Wire):
    async def receive(self, seconds: float) -> None:
        from anyio import move_on_after  # a dependency of httpx and httpx2

        with move_on_after(seconds):
            await self._receive_events(self._request, self._number)

    def _iterator(self, stream: Any) -> Any:
        return aiter(stream)

    async def piece(self, _: object) -> Any:
        return await anext(self._pieces, None)


def _library_of(response: Any) -> Any:
    """The library, httpx or httpx2, also for a subclass of its response that stands elsewhere."""
    for kind in type(response).__mro__:
        library = sys.modules.get(kind.__module__.partition(".")[0])
        if hasattr(library, "SyncByteStream"):
            return library
    raise TypeError(f"{type(response).__name__} is no response of httpx or httpx2")


def _core(stream: Any) -> Any:
    """The stream of httpcore's own that knows its connection; None for any other."""
    for _ in range(_DEEPEST):
        if hasattr(stream, "_connection"):
            return stream
        stream = getattr(stream, "_stream", None) or getattr(stream, "_httpcore_stream", None)
    return None


def _comes(sock: Any, seconds: float) -> bool:
    """Whether a socket has something to read within some seconds."""
    from selectors import EVENT_READ, DefaultSelector

    with DefaultSelector() as selector:
        selector.register(sock, EVENT_READ)
        return bool(selector.select(seconds))


def _again(library: Any, pieces: list[bytes], rest: Any, error: Any, stream: Any) -> Any:
    """A stream of pieces that were read already, and of the rest, or of an error after them."""

    class Again(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from pieces
            if error is not None:
                raise error
            yield from rest

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece
            if error is not None:
                raise error
            async for piece in rest:
                yield piece

        def close(self) -> None:
            stream.close()

        async def aclose(self) -> None:
            await stream.aclose()

    return Again()

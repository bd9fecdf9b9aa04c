"""httpx and httpx2: a response's body, read ahead of its caller and left in place.

The caller can still stream the response, or get the library's own error from it. Bytes from a
socket stay in httpcore's buffers (h11's, or the events of an HTTP/2 stream) and are read there: a
time-out inside httpcore would end the response. Other streams are iterated, and replayed for the
caller.
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

# Seconds. Other threads may read this stream's events, so the socket is waited for in short turns.
_POLL = 0.05
# Wrappers around httpcore's stream: httpx has two and the pool one; the rest is reserve.
_MAX_WRAPPERS = 8


def read_httpx(response: Any, seconds: float) -> bytes | None:
    """The plain body of a response; None where it does not come within the limits."""
    reader = _Reader(response)
    run(reader.steps(seconds), reader)
    return known(response)


async def read_httpx_async(response: Any, seconds: float) -> bytes | None:
    """As :func:`read_httpx`."""
    reader = _AsyncReader(response)
    try:
        await run_async(reader.steps(seconds), reader)
    except BaseException:  # cancelled: no caller gets the response
        await response.aclose()
        raise
    return known(response)


def discard_httpx(response: Any, seconds: float) -> None:
    """Close a response. Its connection is used again if all of the response has come.

    A response of another transport than the library's own is closed unread: each read may take as
    long as that transport allows.
    """
    try:
        if _httpcore_stream(response.stream) is not None:
            read_httpx(response, seconds)
        if is_whole(response):
            for _ in response.stream:
                pass
    finally:
        response.close()


async def discard_httpx_async(response: Any, seconds: float) -> None:
    """As :func:`discard_httpx`."""
    try:
        if _httpcore_stream(response.stream) is not None:
            await read_httpx_async(response, seconds)
        if is_whole(response):
            async for _ in response.stream:
                pass
    finally:
        await response.aclose()


class _Reader:
    """Reads a response ahead: ``steps()`` yields the names of methods to call, with an argument."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._library = _library_of(response)
        stream = _httpcore_stream(response.stream)
        connection = getattr(stream, "_connection", None)
        self._network: Any = getattr(connection, "_network_stream", None)
        self._request: Any = getattr(stream, "_request", None)
        # HTTP/1.1: h11's state. HTTP/2: the stream's number, the events of all streams, and the
        # function that reads more of them.
        self._http1: Any = getattr(connection, "_h11_state", None)
        self._number: Any = getattr(stream, "_stream_id", None)
        self._events: Any = getattr(connection, "_events", None)
        self._receive_events: Any = getattr(connection, "_receive_events", None)
        self._pieces: Any = None

    def steps(self, seconds: float) -> Generator[tuple[str, Any], Any, None]:
        response = self._response
        if was_read(response):
            return
        if hasattr(response, "_content"):  # made with a body, or the caller's own hook has read it
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

    # HTTP/1.1: a copy of h11's state finds where the body ends. Both receive the bytes.

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
                        # Afterwards the connection would look as if the body had ended well.
                        self._replay_error([bytes(body)], error)
                    return None
                came += len(data)
                for each in (state, probe):
                    each.receive_data(data)
        return None

    def read(self, seconds: float) -> Any:
        """Some bytes from the network; an awaitable of them in an asynchronous client."""
        users = self._request.extensions.get("timeout", {}).get("read")
        return self._network.read(LONGEST, seconds if users is None else min(users, seconds))

    def _replay_error(self, pieces: list[bytes], error: Exception) -> None:
        error_type = getattr(self._library, type(error).__name__, self._library.ReadError)
        self._response.stream = _replayed(
            self._library, pieces, None, error_type(str(error)), self._response.stream
        )

    # HTTP/2: httpcore keeps the events of each stream until its reader takes them.

    def _of_http2(self, until: float) -> _Steps:
        number, held = self._number, list[Any]()
        body = bytearray()
        try:
            while True:
                # httpcore reads from the network only while this list is empty.
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
                except Exception:  # noqa: BLE001 the caller gets it too
                    return None
        finally:
            if number in self._events:
                self._events[number][:0] = held

    def receive(self, seconds: float) -> Any:
        """Wait for bytes from the network, and let httpcore sort them into the streams' events.

        Where other threads use the connection, this may take as long as their reads.
        """
        sock = self._network.get_extra_info("socket")
        pending = getattr(sock, "pending", None)
        # A time-out inside httpcore would end all streams of the connection, so wait before.
        if not (pending and pending()) and not _is_readable(sock, min(seconds, _POLL)):
            return
        self._receive_events(self._request, self._number)

    # Any other stream of a transport.

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
        except Exception as met:  # noqa: BLE001 the caller gets it too
            error = met
        finally:
            self._response.stream = _replayed(self._library, pieces, self._pieces, error, stream)
        return None

    def _iterator(self, stream: Any) -> Any:
        return iter(stream)

    def piece(self, _: object) -> Any:
        return next(self._pieces, None)


class _AsyncReader(_Reader):
    async def receive(self, seconds: float) -> None:
        from anyio import move_on_after  # a dependency of httpx and httpx2

        with move_on_after(seconds):
            await self._receive_events(self._request, self._number)

    def _iterator(self, stream: Any) -> Any:
        return aiter(stream)

    async def piece(self, _: object) -> Any:
        return await anext(self._pieces, None)


def _library_of(response: Any) -> Any:
    """The library, httpx or httpx2, also for a subclass of their response from another module."""
    for kind in type(response).__mro__:
        library = sys.modules.get(kind.__module__.partition(".")[0])
        if hasattr(library, "SyncByteStream"):
            return library
    raise TypeError(f"{type(response).__name__} is no response of httpx or httpx2")


def _httpcore_stream(stream: Any) -> Any:
    """The stream of httpcore's own, which knows its connection; None for any other."""
    for _ in range(_MAX_WRAPPERS):
        if hasattr(stream, "_connection"):
            return stream
        stream = getattr(stream, "_stream", None) or getattr(stream, "_httpcore_stream", None)
    return None


def _is_readable(sock: Any, seconds: float) -> bool:
    """Whether a socket has something to read within some seconds."""
    from selectors import EVENT_READ, DefaultSelector

    with DefaultSelector() as selector:
        selector.register(sock, EVENT_READ)
        return bool(selector.select(seconds))


def _replayed(library: Any, pieces: list[bytes], rest: Any, error: Any, stream: Any) -> Any:
    """A stream of pieces that were read already, followed by the rest or by an error."""

    class Replay(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
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

    return Replay()

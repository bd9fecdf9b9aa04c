"""An HTTP/2 server over TLS with scripted answers, which keeps what it receives."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import trustme

from support.raw_server import RawRequest

__all__ = ["REFUSED_STREAM", "Drip", "GoAway", "H2Server", "Reset", "h2_server"]

# RFC 9113 section 7.
REFUSED_STREAM = 7


@dataclass(frozen=True)
class Reset:
    """The stream is reset with this error code."""

    code: int


@dataclass(frozen=True)
class GoAway:
    """The connection ends; ``last`` is the last stream that may have been processed."""

    last: int


@dataclass(frozen=True)
class Drip:
    """An answer whose body is sent byte by byte, until the server's ``go_on`` is set."""

    status: int
    body: bytes


# The answer to a request: a status and a body, or none.
Respond = Callable[[RawRequest], tuple[int, bytes] | Reset | GoAway | Drip]

# Seconds between bytes, and the number of bytes: more than any test's time-out.
_DRIP, _DROPS = 0.05, 600


class H2Server:
    def __init__(
        self,
        respond: Respond,
        context: ssl.SSLContext,
        ca_file: str,
        headers: list[tuple[str, str]],
    ) -> None:
        self._headers = headers
        self.requests: list[RawRequest] = []
        self.connections = 0
        # The SNI of each connection.
        self.server_names: list[str | None] = []
        context.sni_callback = lambda _, name, __: self.server_names.append(name)
        self.ca_file = ca_file
        # Set it to end the dripping; and whether that came too late.
        self.go_on = threading.Event()
        self.dripped_out = False
        self._respond = respond
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            self._open.append(connection)
            assert connection.selected_alpn_protocol() == "h2"
            speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            speaker.initiate_connection()
            connection.sendall(speaker.data_to_send())
            streams: dict[int, tuple[list[tuple[bytes, bytes]], bytes]] = {}
            dripping: dict[int, bytes] = {}
            while data := self._receive(connection, speaker, dripping):
                for event in speaker.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        streams[event.stream_id] = (list(event.headers), b"")
                    elif isinstance(event, h2.events.DataReceived):
                        headers, body = streams[event.stream_id]
                        streams[event.stream_id] = (headers, body + event.data)
                        length = event.flow_controlled_length
                        speaker.acknowledge_received_data(length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        drops = self._answer(
                            speaker, event.stream_id, *streams.pop(event.stream_id)
                        )
                        if drops:
                            dripping[event.stream_id] = drops
                connection.sendall(speaker.data_to_send())
                if speaker.state_machine.state is h2.connection.ConnectionState.CLOSED:
                    # Closing with unread bytes would reset the connection.
                    while connection.recv(65536):
                        pass
                    return

    def _receive(
        self,
        connection: ssl.SSLSocket,
        speaker: h2.connection.H2Connection,
        dripping: dict[int, bytes],
    ) -> bytes:
        """Receive some bytes from the client; answers drip meanwhile."""
        while True:
            connection.settimeout(_DRIP if dripping else None)
            try:
                return connection.recv(65536)
            except TimeoutError:
                self._drip(speaker, dripping)
                connection.sendall(speaker.data_to_send())

    def _drip(self, speaker: h2.connection.H2Connection, dripping: dict[int, bytes]) -> None:
        for stream, body in list(dripping.items()):
            at_once = len(body) if self.go_on.is_set() else 1
            size = min(at_once, speaker.max_outbound_frame_size)
            speaker.send_data(stream, body[:size], end_stream=size == len(body))
            dripping[stream] = body[size:]
            if not dripping[stream]:
                del dripping[stream]
                self.dripped_out = self.dripped_out or not self.go_on.is_set()

    def _answer(
        self,
        speaker: h2.connection.H2Connection,
        stream: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> bytes:
        """
        :returns: the answers to drip.
        """
        pseudo = {name: value for name, value in headers if name.startswith(b":")}
        others = [(name, value) for name, value in headers if not name.startswith(b":")]
        # HTTP/2 has no Host header: a proxy to HTTP/1.1 derives it from :authority.
        request = RawRequest(
            pseudo[b":method"].decode(),
            pseudo[b":path"],
            ((b"host", pseudo[b":authority"]), *others),
            body,
        )
        self.requests.append(request)
        answer = self._respond(request)
        if isinstance(answer, Reset):
            speaker.reset_stream(stream, answer.code)
            return b""
        if isinstance(answer, GoAway):
            speaker.close_connection(last_stream_id=answer.last)
            return b""
        drips = isinstance(answer, Drip)
        status, content = (answer.status, answer.body) if drips else answer
        length = ("content-length", str(len(content[:_DROPS] if drips else content)))
        speaker.send_headers(stream, [(":status", str(status)), length, *self._headers])
        if drips:
            return content[:_DROPS]
        speaker.send_data(stream, content, end_stream=True)
        return b""

    def close(self) -> None:
        self.go_on.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)


@contextmanager
def h2_server(
    respond: Respond,
    folder: Path,
    *,
    names: Iterable[str] = ("localhost",),
    headers: Iterable[tuple[str, str]] = (),
) -> Iterator[H2Server]:
    """
    :param folder: where to write the certificate of its authority.
    :param names: the names in its certificate.
    :param headers: further headers of each answer.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert(*names).configure_cert(context)
    server = H2Server(respond, context, str(folder / "ca.pem"), [*headers])
    try:
        yield server
    finally:
        server.close()

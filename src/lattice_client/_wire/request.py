"""A request of any library, as the signer sees it."""

from __future__ import annotations

from typing import Any, Protocol

from lattice_client._wire.urls import _plain, address_of, bracketed, split_port
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint
from lattice_client.signing import SigV4ASigner, SigV4Signer

__all__ = ["AnySigner", "Reroutable", "SignableRequest"]


AnySigner = SigV4Signer | SigV4ASigner


class SignableRequest(Protocol):
    """A request as it goes out, to the byte."""

    # The library's own.
    request: Any

    @property
    def scheme(self) -> str:
        """In lower case."""
        ...

    method: str
    # The Host header.
    host: str
    # Path and query.
    target: str
    # Who has signed it, if anybody has, and by how much the clock was corrected then, in seconds.
    signer: AnySigner | None
    offset: float
    # Where names have led it to, if any were asked.
    endpoint: Endpoint | None

    def route(self, endpoint: Endpoint) -> None:
        """See :meth:`Reroutable.route`."""
        ...

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        ...

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        ...

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        """The headers named ``x-amz-*`` and those in ``names`` (lower case), but for what an
        earlier signature has left. A character stands for a byte on the wire."""
        ...

    def body(self) -> object:
        """What the body will be read from."""
        ...

    def set_target(self, target: str) -> None:
        """Let the request go to another path and query of the same origin."""
        ...

    def set_headers(self, headers: dict[str, str]) -> None:
        """Set the headers; nothing of an earlier signature remains."""
        ...

    def set_default_header(self, name: str, value: str) -> None:
        """Set a header (name in lower case), unless the request has it."""
        ...

    def rewind(self) -> bool:
        """Make ready for another attempt: put the body back to where it began.

        :returns: whether it stands there. A body that can be read but once does not.
        """
        ...


class Reroutable:
    """What the outgoing requests of all libraries have in common: how they are led somewhere.

    ``endpoint`` is where it was led to; None for as long as it was not.
    """

    __slots__ = ("endpoint", "host", "request")

    request: Any
    host: str
    endpoint: Endpoint | None

    def route(self, endpoint: Endpoint) -> None:
        """Let the request go to an endpoint.

        Where it bears a Host header that is not its URL's, whoever made it has chosen the address:
        then the header may change, and the URL does not.

        :raises ConfigurationError: for a ``connect_to`` that this library's hook cannot follow, or
            that is no address.
        """
        self.endpoint = endpoint
        asked, port = split_port(self.host)
        if endpoint.host == asked and endpoint.connect_to is None:
            return
        by_url = self.goes_by_url()
        if endpoint.host != asked:
            self.host = bracketed(endpoint.host) + port
            if by_url:
                self.set_url_host(endpoint.host, None)
            self.set_host(self.host)
        if by_url and endpoint.connect_to is not None:
            self.set_connect_address(endpoint, *address_of(endpoint.connect_to))

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        return _plain(self.url_host()) == _plain(split_port(self.host)[0])

    # What a library does in its own way.

    def url_host(self) -> str:
        """The host in the URL, without brackets."""
        raise NotImplementedError

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        raise NotImplementedError

    def set_url_host(self, name: str, port: int | None) -> None:
        """Put another host into the URL, and another port where one is given."""
        raise NotImplementedError

    def set_host(self, host: str) -> None:
        """Set the Host header."""
        raise NotImplementedError

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:  # noqa: ARG002
        """Connect there, while SNI and the certificate check stay the endpoint's host."""
        raise ConfigurationError(
            f"{endpoint.host!r} is to be reached at {address!r} (connect_to), and an auth hook of "
            "this library cannot send a request there: use the Session of lattice_client.requests, "
            "the Client of lattice_client.httpx or httpx2, or their Adapter and Transport"
        )

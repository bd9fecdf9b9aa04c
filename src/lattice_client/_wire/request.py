"""What the signer needs of a request, and how a request is routed, for all libraries alike.

``SignableRequest`` is the protocol that the signer uses. ``Reroutable`` is the base class of the
three implementations, in ``requests``, ``httpx`` and ``aiohttp``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from lattice_client._wire.urls import address_of, bracketed, is_same_name, split_port
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint
from lattice_client.signing import SigV4ASigner, SigV4Signer

__all__ = ["AnySigner", "Reroutable", "SignableRequest"]

AnySigner = SigV4Signer | SigV4ASigner


class SignableRequest(Protocol):
    """A request as it goes out, to the byte."""

    # The library's own.
    request: Any
    # Whether the library calls hooks of the request with the response.
    has_response_hooks: ClassVar[bool]

    @property
    def scheme(self) -> str:
        """In lower case."""
        ...

    method: str
    # The Host header.
    host: str
    # Path and query.
    target: str
    # What has signed it, and the clock's correction then, in seconds. None: not signed.
    signer: AnySigner | None
    offset: float
    # Where names have routed it to. None: not routed.
    endpoint: Endpoint | None
    # An endpoint that was found to be VPC Lattice's for this request, and need not be judged again.
    judged: Endpoint | None

    def can_connect_to_address(self) -> bool:
        """Whether the connection can be made to another address than its name's."""
        ...

    def route(self, endpoint: Endpoint, at_address: Endpoint | None = None) -> None:
        """See :meth:`Reroutable.route`."""
        ...

    def enter_at(self, at_address: Endpoint) -> None:
        """See :meth:`Reroutable.enter_at`."""
        ...

    def connect_to(self, addresses: tuple[str, ...]) -> None:
        """See :meth:`Reroutable.connect_to`."""
        ...

    def note_name(self, error: BaseException) -> None:
        """See :meth:`Reroutable.note_name`."""
        ...

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        ...

    def has_own_host(self) -> bool:
        """Whether the Host header may name another host than the URL. For each signature: quicker
        than the opposite of :meth:`goes_by_url`, and True in doubt."""
        ...

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        ...

    def note_auth(self, auth: object) -> None:
        """Keep the auth object of a call on the request, for a client below that signs it again."""
        ...

    def authorization(self) -> str:
        """The Authorization header; empty where there is none."""
        ...

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        """The headers named ``x-amz-*`` and those in ``names`` (lower case), without those of an
        earlier signature. A character stands for a byte on the wire."""
        ...

    def own_authorization(self) -> str | bytes | None:
        """The caller's own Authorization, such as a Bearer token. None where there is none, or only
        a signature."""
        ...

    def body(self) -> object:
        """What the body will be read from."""
        ...

    def set_target(self, target: str) -> None:
        """Set the path and query."""
        ...

    def set_headers(self, headers: dict[str, str]) -> None:
        """Set the headers of a signature, and remove those of an earlier one."""
        ...

    def set_header(self, name: str, value: str | bytes) -> None:
        """Set a header, in place of any of its name."""
        ...

    def set_default_header(self, name: str, value: str) -> None:
        """Set a header (name in lower case), unless the request has it."""
        ...

    def rewind(self) -> bool:
        """Put the body back to its beginning, for another attempt.

        :returns: whether it stands there. A one-shot body does not.
        """
        ...


class Reroutable:
    """The routing that the requests of all libraries share.

    ``endpoint`` is where the request was routed to; None before.
    """

    __slots__ = ("endpoint", "host", "judged", "request")

    has_response_hooks: ClassVar[bool] = False
    request: Any
    host: str
    endpoint: Endpoint | None
    judged: Endpoint | None

    def route(self, endpoint: Endpoint, at_address: Endpoint | None = None) -> None:
        """Send the request to an endpoint.

        A Host header that differs from the URL's host means that the caller has chosen the
        address. Then the Host header may change, and the URL does not.

        :param at_address: the endpoint to use instead if the caller has not chosen the address.
        :raises ConfigurationError: for a ``connect_to`` that this library's hook cannot follow, or
            that is no address.
        """
        self.endpoint, self.judged = endpoint, None
        given, port = split_port(self.host)
        if at_address is None and endpoint.host == given and endpoint.connect_to is None:
            return
        by_url = self.goes_by_url()
        if by_url and at_address is not None:
            self.endpoint = endpoint = at_address
        if endpoint.host != given:
            self.host = bracketed(endpoint.host) + port
            if by_url:
                self.set_url_host(endpoint.host, None)
            self.set_host(self.host)
        if by_url and endpoint.connect_to is not None:
            self.set_connect_address(endpoint, *address_of(endpoint.connect_to))

    def can_connect_to_address(self) -> bool:
        """Whether the connection can be made to another address than its name's."""
        return False

    def enter_at(self, at_address: Endpoint) -> None:
        """Connect to an address of the URL's host, which is not the host of the Host header."""
        self.endpoint = at_address._replace(host=self.url_host())
        self.set_connect_address(self.endpoint, *address_of(at_address.connect_to or ""))

    def connect_to(self, addresses: tuple[str, ...]) -> None:
        """Connect to the first of these addresses of the endpoint's; the others come after it."""
        if self.endpoint is not None:
            self.endpoint = self.endpoint._replace(connect_to=addresses[0], addresses=addresses)
            self.set_connect_address(self.endpoint, *address_of(addresses[0]))

    def note_name(self, error: BaseException) -> None:
        """Note the name on an error of a connection, where the library's message has the address
        alone."""
        endpoint = self.endpoint
        if endpoint is not None and endpoint.connect_to is not None:
            error.add_note(f"{endpoint.host} was called at {endpoint.connect_to}")

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        return not self.has_own_host() or is_same_name(self.url_host(), split_port(self.host)[0])

    # What each library does differently.

    def has_own_host(self) -> bool:
        """See :meth:`SignableRequest.has_own_host`."""
        raise NotImplementedError

    def note_auth(self, auth: object) -> None:
        """Keep the auth object of a call on the request, where that is how a client learns it."""

    def url_host(self) -> str:
        """The host in the URL, without brackets."""
        raise NotImplementedError

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        raise NotImplementedError

    def set_url_host(self, name: str, port: int | None) -> None:
        """Set the URL's host, and its port unless that is None."""
        raise NotImplementedError

    def set_host(self, host: str) -> None:
        """Set the Host header."""
        raise NotImplementedError

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:  # noqa: ARG002
        """Connect to an address. SNI and the certificate check still use the endpoint's host."""
        raise ConfigurationError(
            f"{endpoint.host!r} is to be reached at {address!r} (connect_to), and an auth hook of "
            "this library cannot send a request there: use the Session of lattice_client.requests, "
            "the Client of lattice_client.httpx or httpx2, or their Adapter and Transport"
        )

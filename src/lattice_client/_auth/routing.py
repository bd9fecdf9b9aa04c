"""Which requests are signed, and where they go: by ``hosts``, by their names' spelling and by
``names``.

The Host header of a routed request becomes the endpoint's host, and so does the host in its URL,
for name servers, SNI and the certificate. With ``connect_to`` the connection is made to that
address, and SNI and the certificate check use the host (``lattice_client._wire.request``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lattice_client._auth.addresses import AddressChoice
from lattice_client._auth.host_scope import HostScope, is_trusted_destination
from lattice_client._auth.own_authorization import move_back
from lattice_client._auth.unsigned_requests import UnsignedRequests
from lattice_client._wire.request import SignableRequest
from lattice_client._wire.urls import bracketed, leaves_tls, split_port
from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Endpoint, Resolver
from lattice_client.names.unsigned import (
    Unsigned,
    by_names,
    by_redirect,
    by_scope,
    by_spelling,
    is_resource,
    unsignable,
)
from lattice_client.signing import LATTICE
from lattice_client.signing.presign import without_signature

__all__ = ["Router", "check_names", "find_endpoint"]


class Router:
    """Judges and routes the requests of one auth object.

    :param arguments: the checked arguments of a :class:`~lattice_client.auth.SigV4Auth`.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        hosts, match = arguments["hosts"], arguments["match_hosts"]
        # Other services may have a resource of VPC Lattice before them, and verify signatures.
        self._resources = arguments["service"] != LATTICE
        self._service: str = arguments["service"]
        self._moved_authorization: str | None = arguments["move_authorization_to"]
        self.hosts = None if hosts is None else HostScope(hosts, match, resources=self._resources)
        self.names: Resolver | None = arguments["names"]
        # Without hosts, names also decide whether the URL's host is Lattice's.
        self._looks_up_url_hosts = hosts is None and match == "both"
        self._addresses = AddressChoice()
        self.send_steps = self._addresses.send_steps
        self._unsigned = UnsignedRequests()

    # Scope.

    def is_in_scope(self, out: SignableRequest) -> bool:
        """Whether ``hosts`` includes a request's Host header, and the host that it goes to. Without
        ``hosts``, whether they can be VPC Lattice's by their spelling. The log says why not."""
        if self.hosts is not None:
            host, authority = out.host, out.authority()
            if self.hosts.covers(host, authority):
                return True
            self._unsigned.note(
                out, (host, authority), self.hosts, lambda: self._out_of_scope(host, authority)
            )
            return False
        # Names know better than a look-alike's spelling.
        if self._resources or self.names is not None:
            return True
        return not self._is_barred(out)

    def _out_of_scope(self, host: str, authority: str) -> Unsigned:
        resource = next(filter(is_resource, (host, authority)), None)
        if resource is not None and not self._resources:
            return by_spelling(resource, "resource")
        hosts: Any = self.hosts
        return by_scope(host, authority, hosts.patterns, is_named=host in hosts)

    def _is_barred(self, out: SignableRequest) -> bool:
        """Whether the spelling of a request's Host header or its URL's host bars it from being
        signed; the log says so."""
        barred = self._barred(out)
        if barred is not None:
            self._unsigned.note(out, barred.host, barred.reason, lambda: barred)
        return barred is not None

    def _barred(self, out: SignableRequest) -> Unsigned | None:
        host, kind = out.host, unsignable(out.host)
        if not kind and out.has_own_host():
            host = out.authority()
            kind = unsignable(host)
        if not kind and out.endpoint is not None and out.endpoint.connect_to is not None:
            host = out.endpoint.connect_to
            kind = unsignable(host)
        if not kind or (kind == "look-alike" and self.names is not None):
            return None
        return by_spelling(host, kind)

    # Names.

    def route(self, out: SignableRequest) -> bool:
        """Route a request by ``names``; may block. A routed request is not looked up again.

        :returns: whether it is to be signed.

        :raises NotLatticeError: in strict mode, for a host that is not VPC Lattice's.
        :raises NameSourceError: where no source could be asked and no answer is cached.
        """
        if out.endpoint is None:
            if not self.is_in_scope(out):
                return False
            if self.names is None:
                return True
            url_host = self._url_host_to_look_up(out)
            if url_host is not None and not self._enters_lattice(
                out, find_endpoint(self.names, url_host)
            ):
                return False
            self._send_to(out, find_endpoint(self.names, out.host))
        return self._goes_to_lattice(out)

    async def route_async(self, out: SignableRequest) -> bool:
        """As :meth:`route`, without ever blocking the event loop."""
        if out.endpoint is None:
            if not self.is_in_scope(out):
                return False
            if self.names is None:
                return True
            url_host = self._url_host_to_look_up(out)
            if url_host is not None and not self._enters_lattice(
                out, await _find_endpoint_async(self.names, url_host)
            ):
                return False
            self._send_to(out, await _find_endpoint_async(self.names, out.host))
        return self._goes_to_lattice(out)

    def _send_to(self, out: SignableRequest, found: Endpoint) -> None:
        out.route(found, self._at_address(out, out.host, found))

    def _at_address(self, out: SignableRequest, host: str, found: Endpoint) -> Endpoint | None:
        """The answer at the address to connect to, if there is one for this request."""
        if found.at_address is None:
            return None
        if out.can_connect_to_address():
            return self._addresses.choose(found.at_address)
        self._addresses.note_by_name(host, found)
        return None

    def _enters_lattice(self, out: SignableRequest, there: Endpoint) -> bool:
        """Whether a request's URL, which names another host than its Host header, leads to VPC
        Lattice."""
        authority = out.authority()
        at_address = self._at_address(out, authority, there)
        if at_address is not None:
            out.enter_at(at_address)
        return self._is_lattices(out, authority, at_address or there)

    def _url_host_to_look_up(self, out: SignableRequest) -> str | None:
        """The URL's host, where the Host header names another: it has to be VPC Lattice's too,
        because the bytes go there. None where no look-up is needed."""
        if not self._looks_up_url_hosts or out.goes_by_url():
            return None
        authority = out.authority()
        return None if is_trusted_destination(authority) else authority

    def _is_lattices(self, out: SignableRequest, host: str, endpoint: Endpoint) -> bool:
        """Whether names say that a host is VPC Lattice's; the log says why not."""
        if not endpoint.is_lattice:
            self._unsigned.note(out, host, endpoint, lambda: by_names(host, endpoint))
        return endpoint.is_lattice

    def _leads_to_resource(self, out: SignableRequest) -> bool:
        """Whether a request was routed to a resource, as to VPC Lattice; the log says so.

        :raises NotLatticeError: in strict mode.
        """
        if self._resources:
            return False
        if self.names is not None and self.names.strict and (barred := self._barred(out)):
            raise NotLatticeError(f"{barred}; and names are strict: nothing was sent")
        return self._is_barred(out)

    def _goes_to_lattice(self, out: SignableRequest) -> bool:
        """Whether a request was routed to VPC Lattice. If not, an earlier signature for our service
        is removed, which gives the caller's own Authorization its place back, and one for another
        service stays."""
        endpoint = out.endpoint
        if endpoint is not None:
            # A client routes a request, and then each attempt is signed.
            if out.judged is endpoint:
                return True
            if self._is_lattices(out, out.host, endpoint) and not self._leads_to_resource(out):
                out.judged = endpoint
                return True
        out.signer = None
        scope = f"/{self._service}/aws4_request"
        in_query = scope.replace("/", "%2F") in out.target
        in_header = scope in str(out.request.headers.get("Authorization", ""))
        if in_query or in_header:
            out.headers_to_sign(frozenset())
            out.set_headers({})
        if in_header and self._moved_authorization is not None:
            move_back(out, self._moved_authorization)
        if in_query:
            out.set_target(without_signature(out.target))
        return False

    # Links.

    def host_of_link(self, host: str) -> tuple[str, str | None]:
        """The host that a link to this one names, with its port, and its region if names know it;
        may block.

        :raises ConfigurationError: for none of ``hosts``.
        :raises NotLatticeError: for a host that is not VPC Lattice's.
        """
        region = None
        if self.hosts is not None and host not in self.hosts:
            raise ConfigurationError(f"{host!r} is none of the hosts to sign for, {self.hosts}")
        if self.names is not None:
            endpoint = find_endpoint(self.names, host)
            if not endpoint.is_lattice:
                raise NotLatticeError(f"no link is made: {by_names(host, endpoint)}")
            host, region = bracketed(endpoint.host) + split_port(host)[1], endpoint.region
        kind = "" if self._resources else unsignable(host)
        if kind == "resource" or (kind and self.hosts is None and self.names is None):
            raise NotLatticeError(f"no link is made: {by_spelling(host, kind)}")
        return host, region

    # Redirects.

    def note_redirect(
        self,
        allowed_origins: Iterable[object],
        origin: str,
        out: SignableRequest | None = None,
    ) -> None:
        """Say that what follows a redirect is not signed.

        :param allowed_origins: the origins that the call was made to.
        :param origin: the one that the redirect leads to.
        :param out: the request that follows it; None: it does not exist yet.
        """
        befores, host = tuple(map(str, allowed_origins)), origin.partition("://")[2]
        if not host:
            return
        if any(leaves_tls(before, origin) for before in befores):
            unsigned = by_redirect(host, "redirect to http")
        else:
            unsigned = by_redirect(host, "redirect of a hook" if origin in befores else "redirect")
        if out is None:
            self._unsigned.log(unsigned)
        else:
            self._unsigned.note(out, origin, unsigned.reason, lambda: unsigned)


def find_endpoint(names: Resolver, host: str) -> Endpoint:
    """The endpoint of a Host header; may block.

    :raises NotLatticeError: in strict mode, for a name that is not VPC Lattice's.
    :raises NameSourceError: where no source could be asked and no answer is cached.
    """
    return _refuse_if_strict(names, host, names.peek(host) or names.resolve(host))


async def _find_endpoint_async(names: Resolver, host: str) -> Endpoint:
    """As :func:`find_endpoint`, without blocking the event loop."""
    return _refuse_if_strict(names, host, names.peek(host) or await names.resolve_async(host))


def _refuse_if_strict(names: Resolver, host: str, endpoint: Endpoint) -> Endpoint:
    if not endpoint.is_lattice and names.strict:
        raise NotLatticeError(
            f"{host!r} is not VPC Lattice's, and names are strict: nothing was sent "
            f"({by_names(host, endpoint).because}). Else call it with another client, name the "
            "hosts to sign for (hosts=[…]), or turn strict off"
        )
    return endpoint


def check_names(names: object) -> Resolver:
    """:raises ConfigurationError: for what cannot be asked about names."""
    missing = [
        name for name in ("peek", "resolve", "resolve_async", "strict") if not hasattr(names, name)
    ]
    if missing:
        raise ConfigurationError(
            f"names must be a resolver of names such as Names(…), not a {type(names).__name__}: "
            f"it has no {missing[0]}"
        )
    return names  # type: ignore[return-value]

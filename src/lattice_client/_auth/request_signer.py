"""What an auth object does with a request: scope, route, credentials, signature, remedy.

The hooks and clients of all libraries call it for each attempt. It is private: users have the auth
objects (``lattice_client.auth``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lattice_client._async_bridge import in_thread
from lattice_client._auth.addresses import AddressChoice
from lattice_client._auth.host_scope import HostScope, is_trusted_destination
from lattice_client._auth.own_authorization import OwnAuthorization
from lattice_client._auth.recovery import Recovery, Remedy, Tried
from lattice_client._auth.redirects import RedirectLog, strip_credentials
from lattice_client._auth.routing import check_names, find_endpoint, find_endpoint_async
from lattice_client._auth.signer_cache import SignerCache
from lattice_client._wire.body import QUICK_TO_HASH, WrittenBody, payload_hash
from lattice_client._wire.request import AnySigner, SignableRequest
from lattice_client._wire.urls import bracketed, split_port, split_url, with_encoded_spaces
from lattice_client.credentials import Credentials
from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Endpoint, Resolver
from lattice_client.names.unsigned import (
    Unsigned,
    UnsignedLog,
    by_names,
    by_scope,
    by_spelling,
    is_resource,
    unsignable,
)
from lattice_client.signing import (
    LATTICE,
    UNSIGNED_PAYLOAD,
    SigV4ASigner,
    SigV4Signer,
    presign,
)
from lattice_client.signing.canonical import PathEncoding
from lattice_client.signing.presign import without_signature

__all__ = ["PATIENCE", "RequestSigner"]

# Seconds that a refused call waits for other credentials: as long as a call without any waits.
PATIENCE = 20.0


class RequestSigner:
    """Signs the requests of one auth object, and recovers from refusals.

    :param arguments: the checked arguments of a :class:`~lattice_client.auth.SigV4Auth`.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = given = arguments
        hosts, match = given["hosts"], given["match_hosts"]
        # Other services may have a resource of VPC Lattice before them, and verify signatures.
        self._resources = given["service"] != LATTICE
        self._hosts = None if hosts is None else HostScope(hosts, match, resources=self._resources)
        # Without hosts, names also decide whether the URL's host is Lattice's.
        self._looks_up_url_hosts = hosts is None and match == "both"
        self.names: Resolver | None = given["names"]
        # This signer with the names of the client that last called with it.
        self._routed: RequestSigner | None = None
        self._places_in_header = given["placement"] == "header"
        # The header that the caller's own Authorization is moved to.
        self.moved_authorization: str | None = given["move_authorization_to"]
        self._own_authorization = OwnAuthorization(self.moved_authorization)
        # With None the signer uses its default, which is quickest.
        self._fixed_payload = None if given["service"] == LATTICE else UNSIGNED_PAYLOAD
        # A SigV4A signature has a region set in place of a region.
        region: str | None = given["region_set"] or given["region"]
        # A first signer, without real credentials, to refuse wrong arguments now.
        first = self._make_signer(Credentials("none", "none"), region or "us-east-1", None)
        self._signed_headers = first.signed_headers
        self._hashes_bodies = given["payload"] == "signed" and (
            self._places_in_header or first.signs_payload_in_query
        )
        self._signers = SignerCache(given["credentials"], region, self._make_signer)
        self._recovery = Recovery(self._signers, given["remedies"])
        self._redirect_log = RedirectLog()
        self._addresses = AddressChoice()
        self.send_steps = self._addresses.send_steps
        self._unsigned_log = UnsignedLog()

    def __reduce__(self) -> tuple[type[RequestSigner], tuple[dict[str, Any]]]:
        return type(self), (self._arguments,)

    def with_names(self, names: Resolver) -> RequestSigner:
        """A signer with the same arguments that looks hosts up in these names. It does not share
        what this one has learned from refusals.

        :raises ConfigurationError: where there are other names already, or for what is no resolver.
        """
        if self.names is not None and self.names is not names:
            raise ConfigurationError("this auth object has other names already; give names once")
        return RequestSigner({**self._arguments, "names": check_names(names)})

    def routed_by(self, names: Resolver | None) -> RequestSigner:
        """The signer for a call through a client that has these names. The auth object's own come
        first, and those of Lattice are not for another service."""
        if names is None or self.names is not None or self._arguments["service"] != LATTICE:
            return self
        routed = self._routed
        if routed is None or routed.names is not names:
            self._routed = routed = self.with_names(names)
        return routed

    def unsigned(self) -> RequestSigner:
        """One with the same arguments that routes requests and signs none."""
        return _Unsigned(self._arguments)

    @property
    def signs_any_host(self) -> bool:
        """Whether no ``hosts`` limit its scope."""
        return self._hosts is None

    def is_in_scope(self, out: SignableRequest) -> bool:
        """Whether ``hosts`` includes a request's Host header, and the host that it goes to. Without
        ``hosts``, whether they can be VPC Lattice's by their spelling. The log says why not."""
        if self._hosts is not None:
            if self._hosts.covers(out.host, out.authority()):
                return True
            self._note_out_of_scope(out, self._hosts.patterns)
            return False
        # Names know better than a look-alike's spelling.
        if self._resources or self.names is not None:
            return True
        barred = self._barred(out)
        if barred is not None:
            self._unsigned_log.note(barred)
        return barred is None

    def _known_signer(self, out: SignableRequest) -> AnySigner | None:
        """The signer for a request that is in scope because an earlier one was, without ``hosts``
        and ``names``: quicker than deciding again. None otherwise."""
        if self._hosts is not None or out.has_own_host():
            return None
        return self._signers.cached(out.host)

    def _barred(self, out: SignableRequest) -> Unsigned | None:
        """Why a request is not signed, by the spelling of its Host header, its URL's host, or the
        one that it is connected to."""
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

    def _note_out_of_scope(self, out: SignableRequest, patterns: Iterable[str]) -> None:
        authority = out.authority()
        resource = next(filter(is_resource, (out.host, authority)), None)
        self._unsigned_log.note(
            by_scope(out.host, authority, patterns)
            if resource is None or self._resources
            else by_spelling(resource, "resource")
        )

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
            found = find_endpoint(self.names, out.host)
            out.route(found, self._at_address(out, found))
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
                out, await find_endpoint_async(self.names, url_host)
            ):
                return False
            found = await find_endpoint_async(self.names, out.host)
            out.route(found, self._at_address(out, found))
        return self._goes_to_lattice(out)

    def _at_address(self, out: SignableRequest, found: Endpoint) -> Endpoint | None:
        """The answer at the address to connect to, if there is one for this request."""
        if found.at_address is None:
            return None
        if out.can_connect_to_address():
            return self._addresses.choose(found.at_address)
        self._addresses.warn_of_names(found)
        return None

    def _enters_lattice(self, out: SignableRequest, there: Endpoint) -> bool:
        """Whether a request's URL, which names another host than its Host header, leads to VPC
        Lattice."""
        at_address = self._at_address(out, there)
        if at_address is not None:
            out.enter_at(at_address)
        return self._is_lattices(out.authority(), at_address or there)

    def _url_host_to_look_up(self, out: SignableRequest) -> str | None:
        """The URL's host, where the Host header names another: it has to be VPC Lattice's too,
        because the bytes go there. None where no look-up is needed."""
        if not self._looks_up_url_hosts or out.goes_by_url():
            return None
        authority = out.authority()
        return None if is_trusted_destination(authority) else authority

    def _is_lattices(self, host: str, endpoint: Endpoint) -> bool:
        """Whether names say that a host is VPC Lattice's; the log says why not."""
        if not endpoint.is_lattice:
            self._unsigned_log.note(by_names(host, endpoint))
        return endpoint.is_lattice

    def _leads_to_resource(self, out: SignableRequest) -> bool:
        """Whether a request was routed to a resource, as to VPC Lattice; the log says so.

        :raises NotLatticeError: in strict mode.
        """
        barred = None if self._resources else self._barred(out)
        if barred is None:
            return False
        if self.names is not None and self.names.strict:
            raise NotLatticeError(f"{barred}; and names are strict: nothing was sent")
        self._unsigned_log.note(barred)
        return True

    def _goes_to_lattice(self, out: SignableRequest) -> bool:
        """Whether a request was routed to VPC Lattice. If not, an earlier signature for our service
        is removed, and one for another service stays."""
        if (
            out.endpoint is not None
            and self._is_lattices(out.host, out.endpoint)
            and not self._leads_to_resource(out)
        ):
            return True
        out.signer = None
        scope = f"/{self._arguments['service']}/aws4_request"
        in_query = scope.replace("/", "%2F") in out.target
        if in_query or scope in str(out.request.headers.get("Authorization", "")):
            out.headers_to_sign(frozenset())
            out.set_headers({})
        if in_query:
            out.set_target(without_signature(out.target))
        return False

    def refuse_basic(self, out: SignableRequest) -> None:
        """What has set it cannot be seen here.

        :raises ConfigurationError: for basic authentication that the signature would replace.
        """
        replaced = self._places_in_header and self.moved_authorization is None
        if replaced and out.authorization()[:6].lower() == "basic ":
            raise ConfigurationError(
                f"the request to {out.host!r} has basic authentication (from auth=, the URL's user "
                "and password, .netrc or a header), and its signature would replace that: leave it "
                "out, call this host with a plain client of the library, or leave the host out of "
                "hosts=[…]; placement='query' and move_authorization_to=… send both"
            )

    def sign(self, out: SignableRequest) -> None:
        """Sign a request if its host is in scope. May block to fetch credentials and to look up
        names."""
        if self.names is None:
            signer = self._known_signer(out)
            if signer is None:
                if not self.is_in_scope(out):
                    return
                signer = self._signers.cached(out.host) or self._signers.get(out.host)
            self._sign(out, signer)
        elif self.route(out):
            found = _found_region(out)
            signer = self._signers.cached(out.host, found)
            self._sign(out, signer or self._signers.get(out.host, found=found))

    async def sign_async(self, out: SignableRequest) -> None:
        """As :meth:`sign`, without ever blocking the event loop."""
        found = signer = None
        if self.names is None:
            signer = self._known_signer(out)
            if signer is None and not self.is_in_scope(out):
                return
        else:
            if not await self.route_async(out):
                return
            found = _found_region(out)
        signer = (
            signer
            or self._signers.cached(out.host, found)
            or self._signers.without_blocking(out.host, found)
        )
        if signer is None:
            given = await self._signers.await_credentials()
            signer = await in_thread(self._signers.get, out.host, given, found, abandon=True)
        if self._hashes_bodies:
            self._sign(out, signer, await self._hash_async(out.body()))
        else:
            self._sign(out, signer)

    async def _hash_async(self, body: object) -> str:
        """A body's hash, without blocking the event loop for long."""
        if isinstance(body, WrittenBody):
            return await body.hash(in_thread)
        if _is_quick_to_hash(body):
            return payload_hash(body)
        return await in_thread(payload_hash, body)

    def strip_credentials(self, out: SignableRequest, allowed_origins: Iterable[object]) -> None:
        """Remove the credentials from a request to a foreign origin.

        :param allowed_origins: the origins that its call was made to.
        """
        self.note_redirect(allowed_origins, f"{out.scheme}://{out.authority().lower()}")
        strip_credentials(out, self._signers, self.moved_authorization)

    def note_redirect(self, allowed_origins: Iterable[object], origin: str) -> None:
        """Log a redirect to another origin where it leaves TLS: see :class:`RedirectLog`."""
        self._redirect_log.note(map(str, allowed_origins), origin)

    def remedy(
        self,
        refused: SignableRequest,
        headers: Mapping[str, str],
        body: bytes | None,
        tried: Tried,
        patience: float = PATIENCE,
    ) -> Remedy | None:
        """The remedy to sign a request again with, after a 403, or None: see
        :meth:`lattice_client._auth.recovery.Recovery.after`. May block while credentials are
        fetched.

        :param patience: seconds to wait for them at most.
        """
        expired, renewed = self._recovery.expired(refused, headers, body, tried), False
        if expired is not None:
            renewed = self._signers.renew(expired, patience if refused.rewind() else 0.0)
        return self._recovery.after(refused, headers, body, tried, renewed=renewed)

    async def remedy_async(
        self,
        refused: SignableRequest,
        headers: Mapping[str, str],
        body: bytes | None,
        tried: Tried,
        patience: float = PATIENCE,
    ) -> Remedy | None:
        """As :meth:`remedy`, without ever blocking the event loop."""
        expired, renewed = self._recovery.expired(refused, headers, body, tried), False
        if expired is not None:
            renewed = await self._signers.renew_async(
                expired, patience if refused.rewind() else 0.0, in_thread
            )
        return self._recovery.after(refused, headers, body, tried, renewed=renewed)

    def presign_url(
        self, method: str, url: str, *, expires: int | None = None
    ) -> tuple[str, dict[str, str]]:
        """See :meth:`lattice_client.auth.SigV4Auth.presign_url`."""
        origin, host, target = split_url(url)
        if self._hosts is not None and host not in self._hosts:
            raise ConfigurationError(f"{host!r} is none of the hosts to sign for, {self._hosts}")
        found = None
        if self.names is not None:
            endpoint = find_endpoint(self.names, host)
            if not endpoint.is_lattice:
                raise NotLatticeError(f"{host!r} is not VPC Lattice's: no link to it is signed")
            host, found = bracketed(endpoint.host) + split_port(host)[1], endpoint.region
            origin = f"{origin.partition('://')[0]}://{host}"
        kind = "" if self._resources else unsignable(host)
        if kind == "resource" or (kind and self._hosts is None and self.names is None):
            raise NotLatticeError(f"no link is made: {by_spelling(host, kind)}")
        signed = presign(
            self._signers.cached(host, found) or self._signers.get(host, found=found),
            method,
            host,
            target,
            payload_hash=None if self._hashes_bodies else self._fixed_payload,
            expires=self._arguments["expires"] if expires is None else expires,
        )
        return origin + signed.target, signed.headers

    def prefetch_sync(self) -> None:
        """See :meth:`lattice_client.auth.SigV4Auth.prefetch_sync`."""
        self._signers.prepare()

    async def prefetch(self) -> None:
        """See :meth:`lattice_client.auth.SigV4Auth.prefetch`."""
        given = await self._signers.await_credentials()
        await in_thread(self._signers.prepare, given, abandon=True)

    def _sign(self, out: SignableRequest, signer: AnySigner, payload: str | None = None) -> None:
        """:param payload: the body's hash, where it is known already."""
        if "+" in out.target:
            out.set_target(with_encoded_spaces(out.target))
        if self._places_in_header:
            own = out.own_authorization()
            if own is not None:
                self._own_authorization.give_way(out, own)
        headers = out.headers_to_sign(self._signed_headers)
        if payload is None:
            payload = payload_hash(out.body()) if self._hashes_bodies else self._fixed_payload
        clock = self._recovery.clock
        offset = clock.offset(out.host) if clock.offsets else 0.0
        now = clock.system() + offset if offset else None
        out.signer, out.offset = signer, offset
        if self._places_in_header:
            if "X-Amz-" in out.target and (target := without_signature(out.target)) != out.target:
                out.set_target(target)
            out.set_headers(
                signer.sign(
                    out.method, out.host, out.target, headers, payload_hash=payload, now=now
                )
            )
        else:
            signed = presign(
                signer,
                out.method,
                out.host,
                out.target,
                headers,
                payload_hash=payload,
                expires=self._arguments["expires"],
                now=now,
            )
            out.set_target(signed.target)
            out.set_headers(signed.headers)

    def _make_signer(
        self, credentials: Credentials, region: str, encoding: PathEncoding | None
    ) -> AnySigner:
        given = self._arguments
        kind = SigV4Signer if given["algorithm"] == "sigv4" else SigV4ASigner
        return kind(
            credentials,
            region,
            given["service"],
            path_encoding=encoding or given["path_encoding"],
            signed_headers=given["signed_headers"],
        )


class _Unsigned(RequestSigner):
    """For a call that asks to go out unsigned: everything but the signature is as usual."""

    def refuse_basic(self, out: SignableRequest) -> None:
        """Refuse nothing: no signature replaces it."""

    def sign(self, out: SignableRequest) -> None:
        self.route(out)

    async def sign_async(self, out: SignableRequest) -> None:
        await self.route_async(out)


def _found_region(out: SignableRequest) -> str | None:
    return None if out.endpoint is None else out.endpoint.region


def _is_quick_to_hash(body: object) -> bool:
    return body is None or (isinstance(body, bytes | str) and len(body) <= QUICK_TO_HASH)

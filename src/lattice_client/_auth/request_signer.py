"""What an auth object does with a request: scope, route, credentials, signature, remedy.

The hooks and clients of all libraries call it for each attempt. It is private: users have the auth
objects (``lattice_client.auth``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lattice_client._async_bridge import in_thread, is_on_event_loop
from lattice_client._auth.own_authorization import OwnAuthorization
from lattice_client._auth.recovery import Recovery, Remedy, Tried
from lattice_client._auth.redirects import strip_credentials
from lattice_client._auth.routing import Router, check_names
from lattice_client._auth.signer_cache import SignerCache
from lattice_client._wire.body import QUICK_TO_HASH, WrittenBody, payload_hash
from lattice_client._wire.request import AnySigner, SignableRequest
from lattice_client._wire.unsigned_mark import mark_unsigned
from lattice_client._wire.urls import split_url, with_encoded_spaces
from lattice_client.credentials import Credentials
from lattice_client.errors import ConfigurationError
from lattice_client.names import Resolver
from lattice_client.names.unsigned import by_call
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
        self._router = router = Router(given)
        self.names = router.names
        # Whether a request is signed, and where it goes.
        self.is_in_scope, self.send_steps = router.is_in_scope, router.send_steps
        self.route, self.route_async = router.route, router.route_async
        self.note_redirect = router.note_redirect
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
        self._told_of_loop = False
        self._signers = SignerCache(given["credentials"], region, self._make_signer)
        self._recovery = Recovery(self._signers, given["remedies"])

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
        return self._router.hosts is None

    @property
    def is_decided_by_names(self) -> bool:
        """Whether only a look-up in ``names`` tells which hosts it signs for."""
        return self._router.hosts is None and self.names is not None

    def _known_signer(self, out: SignableRequest) -> AnySigner | None:
        """The signer for a request that is in scope because an earlier one was, without ``hosts``
        and ``names``: quicker than deciding again. None otherwise."""
        if self._router.hosts is not None or out.has_own_host():
            return None
        return self._signers.known(out.host)

    def refuse_basic(self, out: SignableRequest) -> None:
        """What has set it cannot be seen here.

        :raises ConfigurationError: for basic authentication that the signature would replace.
        """
        if out.own_authorization() is None or not self._places_in_header:
            return
        if self.moved_authorization is None and out.authorization()[:6].lower() == "basic ":
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

    def _hash(self, body: object) -> str:
        if not (self._told_of_loop or _is_quick_to_hash(body)) and is_on_event_loop():
            self._told_of_loop = True
            from lattice_client._log import get_logger  # deferred: few bodies are hashed on a loop

            get_logger("auth").warning(
                "a request's body is hashed on the event loop, which stands still meanwhile: give "
                "the AsyncClient the SigV4Auth of lattice_client.httpx (or httpx2), which hashes "
                "it in a thread; this is logged once"
            )
        return payload_hash(body)

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
        self.note_redirect(allowed_origins, f"{out.scheme}://{out.authority().lower()}", out)
        strip_credentials(out, self._signers, self.moved_authorization)

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
        host, found = self._router.host_of_link(host)
        if self.names is not None:
            origin = f"{origin.partition('://')[0]}://{host}"
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
            payload = self._hash(out.body()) if self._hashes_bodies else self._fixed_payload
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
        if self.route(out):
            mark_unsigned(out.request, by_call(out.host))

    async def sign_async(self, out: SignableRequest) -> None:
        if await self.route_async(out):
            mark_unsigned(out.request, by_call(out.host))


def _found_region(out: SignableRequest) -> str | None:
    return None if out.endpoint is None else out.endpoint.region


def _is_quick_to_hash(body: object) -> bool:
    return body is None or (isinstance(body, bytes | str) and len(body) <= QUICK_TO_HASH)

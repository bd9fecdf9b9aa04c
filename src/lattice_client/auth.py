"""The auth objects: which requests to sign, for which region, with whose credentials.

One object serves all libraries: called with a request (requests, httpx, httpx2) it signs it and
gives it back; called with a request and a handler (aiohttp's middleware) it gives an awaitable of
the response.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, Literal, Protocol, TypeVar, get_args, overload

from lattice_client.credentials import (
    Credentials,
    CredentialsProvider,
    as_provider,
    checked,
    current,
    ready,
)
from lattice_client.errors import ConfigurationError, RegionError
from lattice_client.hosts import HostScope
from lattice_client.names import region_of
from lattice_client.payload import payload_hash
from lattice_client.signing import (
    LATTICE,
    UNSIGNED_PAYLOAD,
    SigV4ASigner,
    SigV4Signer,
    presign,
)
from lattice_client.signing.canonical import PathEncoding
from lattice_client.signing.presign import DEFAULT_EXPIRES, MAX_EXPIRES
from lattice_client.wire import (
    REDIRECTS,
    Outgoing,
    origin_of,
    outgoing,
    redirect_target,
    split_url,
    strip_signature,
)

__all__ = ["Algorithm", "LatticeAuth", "Payload", "Placement", "SigV4Auth"]

Algorithm = Literal["sigv4", "sigv4a"]
Payload = Literal["signed", "unsigned"]
Placement = Literal["header", "query"]

_Signer = SigV4Signer | SigV4ASigner


class _Request(Protocol):
    """What the requests of all the libraries have in common."""

    @property
    def method(self) -> str | None: ...
    @property
    def url(self) -> Any: ...
    @property
    def headers(self) -> Any: ...


_R = TypeVar("_R", bound=_Request)
_ResponseT = TypeVar("_ResponseT")
_ResultT = TypeVar("_ResultT")

# Bodies up to this size are hashed on the event loop: a thread would take longer.
_QUICK_TO_HASH = 1 << 18


class SigV4Auth:
    """Signs requests to an AWS service that speaks SigV4: ``SigV4Auth("execute-api")``.

    Use it as ``session.auth`` of requests, ``auth=`` of httpx and httpx2, or in ``middlewares=`` of
    aiohttp (3.12 and later). It may be shared by sessions, threads and event loops, and pickled.

    :param service: the signing name.
    :param region: the region to sign for. None: the one in the host's name, else AWS_REGION,
        AWS_DEFAULT_REGION, or the profile's.
    :param credentials: a :class:`Credentials` value or a provider of such. None: the environment's,
        else botocore's chain.
    :param algorithm: ``sigv4``, or ``sigv4a`` (extra ``sigv4a``) for several regions at once.
    :param region_set: the regions of a SigV4A signature: ``*``, ``eu-west-1,us-east-*`` or a
        sequence of such. None: the one region, found as above.
    :param placement: ``header``, or ``query`` for a signature in the URL, which leaves
        Authorization free. URLs stand in logs (httpx logs them at INFO): such a signature, and the
        session token beside it, is as public as they are, for ``expires`` seconds.
    :param expires: for how many seconds a signature in the query holds, at most 604,800.
    :param path_encoding: ``double`` (the default but for S3) or ``single``.
    :param hosts: patterns of host names to sign for, as ``orders.example.com`` or
        ``*.example.com``; with a port, they match that port alone. Requests to any other host go
        out unsigned. None: every host that a call names.
    :param payload: ``signed`` hashes each body; ``unsigned`` sends UNSIGNED-PAYLOAD.
    :param signed_headers: names of headers to sign beside host and ``x-amz-*``.
    :raises ConfigurationError: for an argument that cannot work.

    A request is signed once, when the hook sees it. Redirects and retries happen below: a redirect
    in requests goes on unsigned, and in aiohttp it is signed anew, but never for another origin
    than the call's own. httpx gives its hooks no say there, and forwards ``x-amz-*`` headers to
    wherever it is sent: leave its ``follow_redirects`` off.
    """

    def __init__(
        self,
        service: str,
        *,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        algorithm: Algorithm = "sigv4",
        region_set: str | Iterable[str] | None = None,
        placement: Placement = "header",
        expires: int = DEFAULT_EXPIRES,
        path_encoding: PathEncoding | None = None,
        hosts: Iterable[str] | None = None,
        payload: Payload = "signed",
        signed_headers: Iterable[str] = (),
    ) -> None:
        _check_choice("payload", payload, Payload)
        _check_choice("placement", placement, Placement)
        _check_choice("algorithm", algorithm, Algorithm)
        if region_set is not None and algorithm != "sigv4a":
            raise ConfigurationError("region_set goes with algorithm='sigv4a'")
        if not 1 <= expires <= MAX_EXPIRES:
            raise ConfigurationError(f"expires must be 1 to {MAX_EXPIRES} seconds, not {expires}")
        if service == LATTICE and payload == "signed":
            raise ConfigurationError(
                "VPC Lattice refuses signed payloads: use LatticeAuth(), or payload='unsigned'"
            )
        if region == "":
            raise RegionError("region is empty; give one such as 'eu-west-1', or None to find it")
        self._arguments: dict[str, Any] = {
            "service": service,
            "region": region,
            "credentials": as_provider(credentials),
            "algorithm": algorithm,
            "region_set": region_set
            if region_set is None or isinstance(region_set, str)
            else ",".join(region_set),
            "placement": placement,
            "expires": expires,
            "path_encoding": path_encoding,
            "hosts": None if hosts is None else HostScope(hosts).patterns,
            "payload": payload,
            # Left to the signer where it is one str by mistake.
            "signed_headers": signed_headers
            if isinstance(signed_headers, str)
            else tuple(signed_headers),
        }
        self._set_up()

    def _set_up(self) -> None:
        """Everything that derives from the arguments, so that a pickle holds these alone."""
        given = self._arguments
        # What stands for the region in a SigV4A signature is its set of regions.
        self._region: str | None = given["region_set"] or given["region"]
        self._provider: CredentialsProvider = given["credentials"]
        self._hosts = None if given["hosts"] is None else HostScope(given["hosts"])
        self._hashes_bodies = given["payload"] == "signed"
        # None is the signer's own choice, and the quickest.
        self._fixed_payload = None if given["service"] == LATTICE else UNSIGNED_PAYLOAD
        self._default_region: str | None = None
        # A first signer, of nothing: it finds wrong arguments now rather than in a call.
        first = self._make_signer(Credentials("-", "-"), self._region or "us-east-1")
        self._signed_headers = first.signed_headers
        # Swapped whole: region -> the signer with the newest credentials.
        self._signers: dict[str, _Signer] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self._arguments

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._set_up()

    def __repr__(self) -> str:
        given = self._arguments
        return (
            f"{type(self).__name__}({given['service']!r}, region={given['region']!r}, "
            f"hosts={given['hosts']!r})"
        )

    # The hooks.

    @overload
    def __call__(self, request: _R, /) -> _R: ...
    @overload
    def __call__(
        self, request: _R, handler: Callable[[_R], Awaitable[_ResponseT]], /
    ) -> Coroutine[Any, Any, _ResponseT]: ...
    def __call__(
        self, request: Any, handler: Callable[[Any], Awaitable[Any]] | None = None, /
    ) -> Any:
        if handler is not None:
            return self._middleware(request, handler)
        out = outgoing(request)
        if self._in_scope(out.host):
            self._sign(out, self._ready_signer(out.host) or self._fetch_signer(out.host))
        return request

    async def _middleware(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        # aiohttp makes a new request for each hop of a redirect, and calls its middlewares for it.
        home = self._home_of(request)
        if home is None or home == origin_of(str(request.url)):
            await self._sign_async(outgoing(request))
        else:
            strip_signature(request.headers)
        response = await handler(request)
        target = None
        if response.status in REDIRECTS:
            target = redirect_target(str(request.url), response.headers.get("Location"))
        if target is not None:
            _redirection.set((self, home or origin_of(str(request.url)), target))
        elif home is not None:
            _redirection.set(None)
        return response

    def _home_of(self, request: Any) -> str | None:
        """The origin of the call that was redirected to this request, if it was."""
        note = _redirection.get()
        if note is not None and note[0] is self and note[2] == str(request.url).partition("#")[0]:
            return note[1]
        return None

    async def _sign_async(self, out: Outgoing) -> None:
        """Signs without ever blocking the event loop."""
        if not self._in_scope(out.host):
            return
        signer = self._ready_signer(out.host)
        if signer is None:
            given = await self._await_credentials() if ready(self._provider) is None else None
            signer = await self._in_thread(self._fetch_signer, out.host, given)
        if self._hashes_bodies and not _quick_to_hash(out.body()):
            await self._in_thread(self._sign, out, signer)
        else:
            self._sign(out, signer)

    async def _in_thread(self, work: Callable[..., _ResultT], *arguments: Any) -> _ResultT:
        # Imported here, where it is loaded anyway: it doubles the time to import this package.
        import asyncio

        return await asyncio.to_thread(work, *arguments)

    # Links.

    def presign_url(
        self, method: str, url: str, *, expires: int | None = None
    ) -> tuple[str, dict[str, str]]:
        """A URL with a signature in its query, for somebody else to call.

        :param url: an absolute URL as it will be sent.
        :param expires: for how many seconds; by default as the auth object's own.
        :returns: the URL, and the headers that have to be sent with it (VPC Lattice wants
            ``x-amz-content-sha256``).
        :raises SigningError: for what cannot be signed.
        :raises CredentialsError: where there are no credentials.
        :raises RegionError: where no region is to be found.

        May block to fetch credentials. Bodies are not signed, so links of services that want a
        body's hash are for requests without one.
        """
        origin, host, target = split_url(url)
        signed = presign(
            self._ready_signer(host) or self._fetch_signer(host),
            method,
            host,
            target,
            payload_hash=None if self._hashes_bodies else self._fixed_payload,
            expires=self._arguments["expires"] if expires is None else expires,
        )
        return origin + signed.target, signed.headers

    # Before the first request.

    def prefetch_sync(self) -> None:
        """Fetches credentials now, so that the first request need not wait for them; may block. At
        a start-up it tells at once whether there are any.

        If the region is an argument or in the environment, the signing key is derived as well.

        :raises CredentialsError: where there are no credentials.
        """
        self._prepare(checked(self._provider.get(), self._provider))

    async def prefetch(self) -> None:
        """As :meth:`prefetch_sync`, without blocking the event loop: asyncio's, and with the
        classes of ``lattice_client.httpx`` and ``httpx2`` also trio's.

        :raises CredentialsError: where there are no credentials.
        """
        given = await self._await_credentials()
        if given is None:
            await self._in_thread(self.prefetch_sync)
        else:
            await self._in_thread(self._prepare, given)

    def _prepare(self, credentials: Credentials) -> None:
        # Any other region is the host's, or takes files to find.
        environ = os.environ
        if self._region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"):
            self._fetch_signer("", credentials)

    # Signing.

    def _sign(self, out: Outgoing, signer: _Signer) -> None:
        headers = out.signable(self._signed_headers)
        payload = self._payload_hash(out)
        if self._arguments["placement"] == "header":
            out.write(signer.sign(out.method, out.host, out.target, headers, payload_hash=payload))
        else:
            signed = presign(
                signer,
                out.method,
                out.host,
                out.target,
                headers,
                payload_hash=payload,
                expires=self._arguments["expires"],
            )
            out.retarget(signed.target)
            out.write(signed.headers)

    def _payload_hash(self, out: Outgoing) -> str | None:
        return payload_hash(out.body()) if self._hashes_bodies else self._fixed_payload

    def _in_scope(self, host: str) -> bool:
        return self._hosts is None or host in self._hosts

    def _ready_signer(self, host: str) -> _Signer | None:
        """The signer for a host if there is one already, or None."""
        credentials = self._provider.peek()
        region = self._region or region_of(host) or self._default_region
        signer = self._signers.get(region) if region else None
        return signer if signer is not None and signer.credentials is credentials else None

    async def _await_credentials(self) -> Credentials | None:
        """The credentials of a provider that has an awaitable form, or None: those of others are
        fetched in a thread.

        :raises CredentialsError: where there are no credentials.
        """
        get_async = getattr(self._provider, "get_async", None)
        return None if get_async is None else checked(await get_async(), self._provider)

    def _fetch_signer(self, host: str, given: Credentials | None = None) -> _Signer:
        """The signer for a host, with credentials fetched and a key derived if need be; may block.

        :param given: the credentials, where they have been fetched already.
        :raises CredentialsError: where there are no credentials.
        :raises RegionError: where no region is to be found.
        """
        region = self._region or region_of(host) or self._find_default_region(host)
        credentials = given or current(self._provider)
        signer = self._make_signer(credentials, region)
        # Those of older credentials go.
        fresh = {name: one for name, one in self._signers.items() if one.credentials is credentials}
        self._signers = {**fresh, region: signer}
        return signer

    def _find_default_region(self, host: str) -> str:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not region and (ask_provider := getattr(self._provider, "region", None)):
            region = ask_provider()
        if not region:
            raise RegionError(
                f"no region to sign for: {host!r} does not name one, AWS_REGION and "
                f"AWS_DEFAULT_REGION are not set, nor does a profile say it; "
                f"pass {type(self).__name__}(region=…)"
            )
        self._default_region = region
        return str(region)

    def _make_signer(self, credentials: Credentials, region: str) -> _Signer:
        given = self._arguments
        kind = SigV4Signer if given["algorithm"] == "sigv4" else SigV4ASigner
        return kind(
            credentials,
            region,
            given["service"],
            path_encoding=given["path_encoding"],
            signed_headers=given["signed_headers"],
        )


class LatticeAuth(SigV4Auth):
    """Signs requests to services behind Amazon VPC Lattice.

    Bodies are never read: Lattice takes no signed payloads ("SIGv4 authenticated requests for
    Amazon VPC Lattice", VPC Lattice User Guide), so streams and files go out as they are.

    The parameters are those of :class:`SigV4Auth`; ``path_encoding`` is ``double`` as in AWS's own
    Python, Java and Node samples. No one has published what Lattice does with reserved characters
    in a path; ``single`` is what AWS's Go samples do.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        algorithm: Algorithm = "sigv4",
        region_set: str | Iterable[str] | None = None,
        placement: Placement = "header",
        expires: int = DEFAULT_EXPIRES,
        path_encoding: PathEncoding = "double",
        hosts: Iterable[str] | None = None,
        signed_headers: Iterable[str] = (),
    ) -> None:
        super().__init__(
            LATTICE,
            region=region,
            credentials=credentials,
            algorithm=algorithm,
            region_set=region_set,
            placement=placement,
            expires=expires,
            path_encoding=path_encoding,
            hosts=hosts,
            payload="unsigned",
            signed_headers=signed_headers,
        )


# aiohttp follows a redirect in the task that made the call. So the middleware leaves a note for
# itself: the origin that the call was made to, and the URL that it was sent on to.
_redirection: ContextVar[tuple[SigV4Auth, str, str] | None] = ContextVar(
    "_redirection", default=None
)


def _check_choice(name: str, value: object, choices: object) -> None:
    if value not in get_args(choices):
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, get_args(choices)))}, not {value!r}"
        )


def _quick_to_hash(body: object) -> bool:
    return body is None or (isinstance(body, bytes | str) and len(body) <= _QUICK_TO_HASH)

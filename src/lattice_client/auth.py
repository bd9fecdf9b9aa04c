"""The auth objects: which requests to sign, for which region, with whose credentials.

One object serves all libraries: called with a request (requests, httpx, httpx2) it signs it and
gives it back; called with a request and a handler (aiohttp's middleware) it gives an awaitable of
the response.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, Protocol, Self, TypeVar, get_args, overload

from lattice_client._auth.host_scope import HostMatch, HostScope, leads_to_no_stranger
from lattice_client._auth.recovery import (
    ALL_REMEDIES,
    FORBIDDEN,
    Remedies,
    Remedy,
    Tried,
    checked_remedies,
)
from lattice_client._auth.requests_hook import guard
from lattice_client._auth.routing import checked, find, find_async
from lattice_client._auth.signer_cache import Signers
from lattice_client._secrecy import forgetful
from lattice_client._wire.aiohttp import AiohttpRequest, RedirectedCalls, read_aiohttp
from lattice_client._wire.body import QUICK_TO_HASH, WrittenBody, payload_hash
from lattice_client._wire.detect import outgoing
from lattice_client._wire.headers import strip_signature
from lattice_client._wire.redirects import RedirectLog
from lattice_client._wire.request import AnySigner, Outgoing
from lattice_client._wire.requests import RequestsRequest
from lattice_client._wire.response_body import patience
from lattice_client._wire.urls import bracketed, split_port, split_url, with_encoded_spaces
from lattice_client.credentials import (
    Credentials,
    CredentialsProvider,
    as_provider,
)
from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Resolver
from lattice_client.signing import (
    LATTICE,
    UNSIGNED_PAYLOAD,
    SigV4ASigner,
    SigV4Signer,
    presign,
)
from lattice_client.signing.canonical import PathEncoding
from lattice_client.signing.presign import DEFAULT_EXPIRES, MAX_EXPIRES, without_signature
from lattice_client.signing.validation import check_region

__all__ = ["Algorithm", "LatticeAuth", "Payload", "Placement", "SigV4Auth"]

Algorithm = Literal["sigv4", "sigv4a"]
Payload = Literal["signed", "unsigned"]
Placement = Literal["header", "query"]


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

# Seconds that a refused call waits for other credentials, as every call does that has none.
PATIENCE = 20.0


class SigV4Auth:
    """Signs requests to an AWS service that speaks SigV4: ``SigV4Auth("execute-api")``.

    Use it as ``session.auth`` of requests, ``auth=`` of httpx and httpx2, or in ``middlewares=`` of
    aiohttp (3.12 and later). It may be shared by sessions, threads and event loops, and pickled.

    :param service: the signing name.
    :param region: the region to sign for. None: the one in the host's name, else the one that
        ``names`` finds, else AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
    :param credentials: a :class:`Credentials` value or a provider of such. None: the environment's,
        else botocore's chain.
    :param algorithm: ``sigv4``, or ``sigv4a`` (extra ``sigv4a``) for several regions at once.
    :param region_set: the regions of a SigV4A signature: ``*``, ``eu-west-1,us-east-*`` or a
        sequence of such. None: the one region, found as above.
    :param placement: ``header``, or ``query`` for a signature in the URL, which leaves
        Authorization free. URLs stand in logs (httpx logs them at INFO): such a signature, and the
        session token beside it, is as public as they are, for ``expires`` seconds.
    :param expires: for how many seconds a signature in the query holds, at most 604,800.
    :param path_encoding: ``double`` (the default but for S3), ``double-raw`` (paths are encoded
        twice too, but ``//`` and dot segments stay) or ``single``.
    :param hosts: patterns of host names to sign for, as ``orders.example.com`` or
        ``*.example.com``; with a port, they match that port alone. Requests to any other host go
        out unsigned. None: every host that a call names, or with ``names`` every one that they say
        is VPC Lattice's.
    :param match_hosts: what is compared where you have set a Host header that is not the URL's.
        ``both``: the Host header, and the host in the URL unless that is an IP address,
        ``localhost`` or a name of VPC Lattice's own. ``header``: the Host header alone, so name the
        place in the URL with care: the session token goes there.
    :param names: who is asked of each host among ``hosts``, before each signature: its region,
        whether it is VPC Lattice's (what is not goes out unsigned, or with ``names.strict`` not at
        all), and under which name and at which address: the hooks of requests, httpx and httpx2
        cannot follow an address, and refuse. None: hosts are what they say they are.
    :param payload: ``signed`` hashes each body; ``unsigned`` sends UNSIGNED-PAYLOAD. S3 takes no
        hash in a query: with ``placement="query"`` its bodies are not read.
    :param signed_headers: names of headers to sign beside host and ``x-amz-*``.
    :param remedies: which refusals are answered by signing and sending the request once more, of
        ``clock``, ``credentials`` and ``path encoding``; ``()`` for none. They go by the shape of a
        403, which whatever stands behind the host can forge.
    :raises ConfigurationError: for an argument that cannot work.

    A hook signs a request once, and again after a refusal that has a remedy (the clock, expired
    credentials, the path encoding), where its library shows it the answer. Redirects and retries
    happen below it: a redirect in requests goes on unsigned, and in aiohttp it is signed anew, but
    never for another origin than the call's own. httpx gives its hooks no say there, and forwards
    ``x-amz-*`` headers to wherever it is sent: leave its ``follow_redirects`` off, or use
    ``lattice_client.httpx.Client``, which signs each attempt, as do its kin for the others.
    """

    @forgetful
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
        match_hosts: HostMatch = "both",
        names: Resolver | None = None,
        payload: Payload = "signed",
        signed_headers: Iterable[str] = (),
        remedies: Iterable[Remedy] = ALL_REMEDIES,
    ) -> None:
        _check_choice("payload", payload, Payload)
        _check_choice("placement", placement, Placement)
        _check_choice("algorithm", algorithm, Algorithm)
        _check_choice("match_hosts", match_hosts, HostMatch)
        if region_set is not None and algorithm != "sigv4a":
            raise ConfigurationError("region_set goes with algorithm='sigv4a'")
        if type(expires) is not int or not 1 <= expires <= MAX_EXPIRES:
            raise ConfigurationError(
                f"expires must be 1 to {MAX_EXPIRES} whole seconds, not {expires!r}"
            )
        if service == LATTICE and payload == "signed":
            raise ConfigurationError(
                "VPC Lattice refuses signed payloads: use LatticeAuth(), or payload='unsigned'"
            )
        if region is not None and not (region and isinstance(region, str)):
            check_region(region)  # the first signer checks the others
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
            "match_hosts": match_hosts,
            "names": None if names is None else checked(names),
            "payload": payload,
            # Left to the signer where it is one str by mistake.
            "signed_headers": signed_headers
            if isinstance(signed_headers, str)
            else tuple(signed_headers),
            "remedies": checked_remedies(remedies),
        }
        self._set_up()

    def _set_up(self) -> None:
        """Everything that derives from the arguments, so that a pickle holds these alone."""
        given = self._arguments
        hosts, match = given["hosts"], given["match_hosts"]
        self._hosts = None if hosts is None else HostScope(hosts, match)
        # Without hosts, names say of the URL's host too whether it is Lattice's.
        self._asks_of_urls = hosts is None and match == "both"
        self.names: Resolver | None = given["names"]
        self._places_in_header = given["placement"] == "header"
        # None is the signer's own choice, and the quickest.
        self._fixed_payload = None if given["service"] == LATTICE else UNSIGNED_PAYLOAD
        # What stands for the region in a SigV4A signature is its set of regions.
        region: str | None = given["region_set"] or given["region"]
        # A first signer, of nothing: it finds wrong arguments now rather than in a call.
        first = self._make_signer(Credentials("none", "none"), region or "us-east-1", None)
        self._signed_headers = first.signed_headers
        self._hashes_bodies = given["payload"] == "signed" and (
            self._places_in_header or first.signs_payload_in_query
        )
        self._signers = Signers(given["credentials"], region, self._make_signer)
        self._remedies = Remedies(self._signers, given["remedies"])
        self._redirected = RedirectedCalls()
        self._redirect_log = RedirectLog()

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

    def asking(self, names: Resolver) -> Self:
        """A copy that asks these names of each host. What the original has learned it learns anew.

        :raises ConfigurationError: where there are others already, or for what cannot be asked.
        """
        if self.names is not None and self.names is not names:
            raise ConfigurationError("this auth object asks other names already; give names once")
        copied = type(self).__new__(type(self))
        copied.__setstate__({**self._arguments, "names": checked(names)})
        return copied

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
        self.sign(out)
        if out.signer is not None and isinstance(out, RequestsRequest):
            guard(self, out)
        return request

    async def _middleware(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        url, home = request.url, self._redirected.home_of(request)
        out = AiohttpRequest(request)
        try:
            if home is not None and url.origin() not in home:
                self.disown(out, home)
                await self.lead_async(out)
                response = await handler(request)
            else:
                await self.sign_async(out)
                response = await handler(request)
                if response.status == FORBIDDEN and out.signer is not None:
                    response = await self._cured(out, response, handler)
            self._redirected.note(request, url, home, response, out.endpoint)
        finally:
            if out.endpoint is not None:
                out.come_back()
        return response

    async def _cured(
        self, out: Outgoing, response: Any, handler: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """The answer to an aiohttp request, signed again for each remedy that a refusal has."""
        tried = Tried()
        while response.status == FORBIDDEN:
            body = await read_aiohttp(response, patience())
            if await self.remedy_async(out, response.headers, body, tried) is None:
                break
            response.release()
            await self.sign_async(out)
            response = await handler(out.request)
        return response

    # What transports call, for each attempt.

    def signs(self, out: Outgoing) -> bool:
        """Whether a request is signed, by the host that it names and the one that it goes to."""
        return self._hosts is None or self._hosts.covers(out.host, out.authority())

    def lead(self, out: Outgoing) -> bool:
        """Lead a request to where names say, and tell whether it is to be signed; may block.

        Whoever has led it already need not ask again. Without names it stays as it is.

        :raises NotLatticeError: in strict mode, for a host that is not VPC Lattice's.
        :raises NameSourceError: where a host is not known, and nobody could be asked.
        """
        if out.endpoint is None:
            if not self.signs(out):
                return False
            if self.names is None:
                return True
            other = self._host_to_ask_too(out)
            if other is not None and not find(self.names, other).is_lattice:
                return False
            out.go_to(find(self.names, out.host))
        return self._is_lattice(out)

    async def lead_async(self, out: Outgoing) -> bool:
        """As :meth:`lead`, without ever blocking the event loop."""
        if out.endpoint is None:
            if not self.signs(out):
                return False
            if self.names is None:
                return True
            other = self._host_to_ask_too(out)
            if other is not None and not (await find_async(self.names, other)).is_lattice:
                return False
            out.go_to(await find_async(self.names, out.host))
        return self._is_lattice(out)

    def _host_to_ask_too(self, out: Outgoing) -> str | None:
        """The URL's host, where the Host header is another one's: it has to be VPC Lattice's too,
        for that is where the bytes go. None where there is nothing to ask."""
        if not self._asks_of_urls or out.goes_by_url():
            return None
        authority = out.authority()
        return None if leads_to_no_stranger(authority) else authority

    def _is_lattice(self, out: Outgoing) -> bool:
        """Whether a request was led to VPC Lattice; if not, an earlier signature of ours goes, and
        one of somebody else's stays."""
        if out.endpoint is not None and out.endpoint.is_lattice:
            return True
        out.signer = None
        scope = f"/{self._arguments['service']}/aws4_request"
        in_query = scope.replace("/", "%2F") in out.target
        if in_query or scope in str(out.request.headers.get("Authorization", "")):
            out.signable(frozenset())
            out.write({})
        if in_query:
            out.retarget(without_signature(out.target))
        return False

    def sign(self, out: Outgoing) -> None:
        """Sign a request, if its host is one to sign for; may block to fetch credentials, and to
        ask names about it."""
        if self.names is None:
            if self.signs(out):
                self._sign(out, self._signers.ready(out.host) or self._signers.fetch(out.host))
        elif self.lead(out):
            found = _region(out)
            signer = self._signers.ready(out.host, found)
            self._sign(out, signer or self._signers.fetch(out.host, found=found))

    async def sign_async(self, out: Outgoing) -> None:
        """As :meth:`sign`, without ever blocking the event loop."""
        if self.names is None:
            if not self.signs(out):
                return
            found = None
        else:
            if not await self.lead_async(out):
                return
            found = _region(out)
        signer = self._signers.ready(out.host, found) or self._signers.at_once(out.host, found)
        if signer is None:
            given = await self._signers.await_credentials()
            signer = await self._in_thread(
                self._signers.fetch, out.host, given, found, abandon=True
            )
        if self._hashes_bodies:
            self._sign(out, signer, await self._hash_async(out.body()))
        else:
            self._sign(out, signer)

    async def _hash_async(self, body: object) -> str:
        """A body's hash, without blocking the event loop for long."""
        if isinstance(body, WrittenBody):
            return await body.hash(self._in_thread)
        if _quick_to_hash(body):
            return payload_hash(body)
        return await self._in_thread(payload_hash, body)

    def disown(self, out: Outgoing, home: Iterable[object]) -> None:
        """Take what must not reach a stranger from a request that goes to one: also a signature in
        its query, where the redirect's own server has repeated that.

        :param home: the origins that its call was made to.
        """
        self.note_redirect(home, f"{out.scheme}://{out.authority().lower()}")
        strip_signature(out.request.headers)
        if "X-Amz-Credential=" in out.target and self._signers.made(out.target):
            out.retarget(without_signature(out.target))

    def note_redirect(self, home: Iterable[object], origin: str) -> None:
        """Log a redirect to another origin, where the log can help: see :class:`RedirectLog`."""
        self._redirect_log.note(map(str, home), origin)

    def remedy(
        self,
        refused: Outgoing,
        headers: Mapping[str, str],
        body: bytes | None,
        tried: Tried,
        patience: float = PATIENCE,
    ) -> Remedy | None:
        """What to sign a request with now, after a 403, or None where that is of no use: see
        :class:`lattice_client._auth.recovery.Remedies`. May block while credentials are fetched.

        :param patience: for so many seconds at most.
        """
        expired, renewed = self._remedies.expired(refused, headers, body, tried), False
        if expired is not None:
            renewed = self._signers.renew(expired, patience if refused.rewind() else 0.0)
        return self._remedies.after(refused, headers, body, tried, renewed=renewed)

    async def remedy_async(
        self,
        refused: Outgoing,
        headers: Mapping[str, str],
        body: bytes | None,
        tried: Tried,
        patience: float = PATIENCE,
    ) -> Remedy | None:
        """As :meth:`remedy`, without ever blocking the event loop."""
        expired, renewed = self._remedies.expired(refused, headers, body, tried), False
        if expired is not None:
            renewed = await self._signers.renew_async(
                expired, patience if refused.rewind() else 0.0, self._in_thread
            )
        return self._remedies.after(refused, headers, body, tried, renewed=renewed)

    async def _in_thread(
        self, work: Callable[..., _ResultT], *arguments: Any, abandon: bool = False
    ) -> _ResultT:
        """:param abandon: whether the work may go on alone where its caller is cancelled.

        At the end of the interpreter no thread can be started: then it is done here.
        """
        begun = False

        def begin() -> _ResultT:
            nonlocal begun
            begun = True
            return work(*arguments)

        try:
            return await self._started_in_thread(begin, abandon=abandon)
        except RuntimeError:
            if begun:
                raise
        return work(*arguments)

    async def _started_in_thread(self, work: Callable[[], _ResultT], *, abandon: bool) -> _ResultT:
        # Whoever runs on trio has anyio, which knows both kinds of event loop. Neither is imported
        # before: that would double the time to import this package.
        if "anyio" in sys.modules:
            from anyio.to_thread import run_sync

            # As asyncio's own does always; anyio's before 4.1 calls it otherwise.
            known = abandon and "abandon_on_cancel" in (run_sync.__kwdefaults__ or ())
            how: Any = {"abandon_on_cancel": True} if known else {}
            return await run_sync(work, **how)
        import asyncio

        return await asyncio.to_thread(work)

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
        :raises ConfigurationError: for a URL that is not absolute, or none of ``hosts``.
        :raises CredentialsError: where there are no credentials.
        :raises RegionError: where no region is to be found.
        :raises NotLatticeError: where names say that its host is not VPC Lattice's.

        With names, the URL is one of the host that they name. May block to fetch credentials, and
        to ask names. Bodies are not signed, so links of services that want a body's hash are for
        requests without one.
        """
        origin, host, target = split_url(url)
        if self._hosts is not None and host not in self._hosts:
            raise ConfigurationError(f"{host!r} is none of the hosts to sign for, {self._hosts}")
        found = None
        if self.names is not None:
            endpoint = find(self.names, host)
            if not endpoint.is_lattice:
                raise NotLatticeError(f"{host!r} is not VPC Lattice's: no link to it is signed")
            host, found = bracketed(endpoint.host) + split_port(host)[1], endpoint.region
            origin = f"{origin.partition('://')[0]}://{host}"
        signed = presign(
            self._signers.ready(host, found) or self._signers.fetch(host, found=found),
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
        self._signers.prepare()

    async def prefetch(self) -> None:
        """As :meth:`prefetch_sync`, without blocking the event loop: asyncio's, and with the
        classes of ``lattice_client.httpx`` and ``httpx2`` also trio's.

        :raises CredentialsError: where there are no credentials.
        """
        given = await self._signers.await_credentials()
        await self._in_thread(self._signers.prepare, given, abandon=True)

    # Signing.

    def _sign(self, out: Outgoing, signer: AnySigner, payload: str | None = None) -> None:
        """:param payload: the body's hash, where it is known already."""
        if "+" in out.target:
            out.retarget(with_encoded_spaces(out.target))
        headers = out.signable(self._signed_headers)
        if payload is None:
            payload = payload_hash(out.body()) if self._hashes_bodies else self._fixed_payload
        clock = self._remedies.clock
        offset = clock.offset(out.host) if clock.offsets else 0.0
        now = clock.system() + offset if offset else None
        out.signer, out.offset = signer, offset
        if self._places_in_header:
            if "X-Amz-" in out.target and (target := without_signature(out.target)) != out.target:
                out.retarget(target)
            out.write(
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
            out.retarget(signed.target)
            out.write(signed.headers)

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


class LatticeAuth(SigV4Auth):
    """Signs requests to services behind Amazon VPC Lattice.

    Bodies are never read: Lattice takes no signed payloads ("SIGv4 authenticated requests for
    Amazon VPC Lattice", VPC Lattice User Guide), so streams and files go out as they are.

    The parameters are those of :class:`SigV4Auth`; ``path_encoding`` is ``double`` as in AWS's own
    Python, Java and Node samples. It is not published what Lattice does with reserved characters in
    a path; ``double-raw`` is what AWS's SDKs for Go and JavaScript (v2) and aws-sigv4-proxy do, and
    ``single`` what two of AWS's Go samples do.
    """

    @forgetful
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
        match_hosts: HostMatch = "both",
        names: Resolver | None = None,
        signed_headers: Iterable[str] = (),
        remedies: Iterable[Remedy] = ALL_REMEDIES,
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
            match_hosts=match_hosts,
            names=names,
            payload="unsigned",
            signed_headers=signed_headers,
            remedies=remedies,
        )


def _region(out: Outgoing) -> str | None:
    return None if out.endpoint is None else out.endpoint.region


def _check_choice(name: str, value: object, choices: object) -> None:
    if value not in get_args(choices):
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, get_args(choices)))}, not {value!r}"
        )


def _quick_to_hash(body: object) -> bool:
    return body is None or (isinstance(body, bytes | str) and len(body) <= QUICK_TO_HASH)

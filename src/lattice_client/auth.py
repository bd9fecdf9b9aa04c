"""The auth objects, ``LatticeAuth`` and ``SigV4Auth``: their arguments, and their use as hooks.

One object serves all libraries. Called with a request (requests, httpx, httpx2), it signs and
returns the request. Called with a request and a handler (as aiohttp's middleware), it returns an
awaitable of the response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args, overload

from lattice_client._arguments import explains_boto_names
from lattice_client._auth.host_scope import HostMatch, HostScope
from lattice_client._auth.own_authorization import check_new_name
from lattice_client._auth.recovery import ALL_REMEDIES, Remedy, parse_remedies
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._auth.routing import check_names
from lattice_client._regions import check_region
from lattice_client._secrecy import forgetful
from lattice_client._wire.detect import wrap_request
from lattice_client.credentials import CredentialsSource, as_provider
from lattice_client.errors import ConfigurationError
from lattice_client.names import Resolver
from lattice_client.signing import LATTICE
from lattice_client.signing.canonical import PathEncoding
from lattice_client.signing.presign import DEFAULT_EXPIRES, MAX_EXPIRES

if TYPE_CHECKING:
    from lattice_client._auth.aiohttp_hook import AiohttpHook

__all__ = ["Algorithm", "LatticeAuth", "Payload", "Placement", "Remedy", "SigV4Auth"]

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


class SigV4Auth:
    """Signs requests to an AWS service that speaks SigV4: ``SigV4Auth("execute-api")``.

    Use it as ``session.auth`` of requests, ``auth=`` of httpx and httpx2, or in ``middlewares=`` of
    aiohttp (3.12 and later). It may be shared by sessions, threads and event loops, and pickled.

    :param service: the signing name.
    :param region: the region to sign for. None: the one in the host's name, else the one that
        ``names`` finds, else the one that a session was given in code, AWS_REGION,
        AWS_DEFAULT_REGION, the session's or the profile's, or the one that this machine runs in.
    :param credentials: a :class:`Credentials` value or a provider of such; a session of boto3's or
        botocore's, or credentials of theirs, which they go on refreshing; or a mapping as STS gives
        it. None: the profile's, else the environment's, else botocore's chain.
    :param profile: the profile whose credentials and region to use, as in ``~/.aws/config``, in
        place of ``credentials``.
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
        ``*.example.com``; with a port, they match only that port. Requests to any other host go
        out unsigned. None: every host that a call names, or with ``names`` every one that they find
        to be VPC Lattice's.
    :param match_hosts: what is compared where you have set a Host header that is not the URL's.
        ``both``: the Host header, and the host in the URL unless that is an IP address,
        ``localhost`` or a name of VPC Lattice's own. ``header``: only the Host header. Then
        check your URLs: the session token goes to the host that they name.
    :param names: the resolver that looks up each host among ``hosts`` before each signature. It
        finds the host's region, whether it is VPC Lattice's (any other goes out unsigned, or with
        ``names.strict`` not at all), its name there and its address. The hooks of requests, httpx
        and httpx2 cannot follow an address, and refuse it. None: no look-up.
    :param payload: ``signed`` hashes each body; ``unsigned`` sends UNSIGNED-PAYLOAD. S3 takes no
        hash in a query: with ``placement="query"`` its bodies are not read.
    :param signed_headers: names of headers to sign beside host and ``x-amz-*``.
    :param remedies: which refusals are answered by signing and sending the request once more, of
        ``clock``, ``credentials`` and ``path encoding``; ``()`` for none. They go by the form of a
        403, which any server behind the host can forge.
    :param move_authorization_to: the header that your own Authorization (such as a user's Bearer
        token) is sent in, as ``X-Forwarded-Authorization``; one that begins with ``x-amz-`` is
        signed. It replaces a header of that name. At redirects it is treated as Authorization is.
        None: the signature replaces your Authorization, which is logged once for each host.
    :raises ConfigurationError: for an argument that cannot work.

    A hook signs a request once, and again after a refusal that has a remedy (the clock, expired
    credentials, the path encoding), where its library shows it the answer. Redirects and retries
    happen below it. After a redirect, requests sends the next request unsigned, and aiohttp signs
    it again if its origin is the call's own. Do not set ``follow_redirects=True`` in httpx with a
    bare hook: httpx would send your session token, and a moved Authorization, to the redirect's
    host. The clients (``lattice_client.httpx.Client`` and those for the other libraries) sign each
    attempt.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        service: str,
        *,
        region: str | None = None,
        credentials: CredentialsSource | None = None,
        profile: str | None = None,
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
        move_authorization_to: str | None = None,
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
            "credentials": as_provider(credentials, profile, region),
            "algorithm": algorithm,
            "region_set": region_set
            if region_set is None or isinstance(region_set, str)
            else ",".join(region_set),
            "placement": placement,
            "expires": expires,
            "path_encoding": path_encoding,
            "hosts": None if hosts is None else HostScope(hosts).patterns,
            "match_hosts": match_hosts,
            "names": None if names is None else check_names(names),
            "payload": payload,
            # Left to the signer where it is one str by mistake.
            "signed_headers": signed_headers
            if isinstance(signed_headers, str)
            else tuple(signed_headers),
            "remedies": parse_remedies(remedies),
            "move_authorization_to": check_new_name(move_authorization_to, placement),
        }
        self._set_up()

    def _set_up(self) -> None:
        """Make what derives from the arguments. A pickle holds only these."""
        self._signer = RequestSigner(self._arguments)
        self.names: Resolver | None = self._arguments["names"]

    def __getstate__(self) -> dict[str, Any]:
        return self._arguments

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._set_up()

    def __repr__(self) -> str:
        given = self._arguments
        moved = given["move_authorization_to"]
        return (
            f"{type(self).__name__}({given['service']!r}, region={given['region']!r}, "
            f"hosts={given['hosts']!r}"
            f"{'' if moved is None else f', move_authorization_to={moved!r}'})"
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
            return self._hook_of_aiohttp()(request, handler)
        out = wrap_request(request)
        self._signer.sign(out)
        if not out.has_response_hooks:
            out.note_auth(self)
            return request
        from lattice_client._auth.requests_hook import add_response_hook

        add_response_hook(self._signer, out)
        return request

    def _hook_of_aiohttp(self) -> AiohttpHook:
        """The middleware, loaded for the first request of aiohttp; one for all threads, for it
        remembers redirected calls."""
        made: AiohttpHook | None = vars(self).get("_aiohttp_hook")
        if made is not None:
            return made
        from lattice_client._auth.aiohttp_hook import AiohttpHook

        shared: AiohttpHook = vars(self).setdefault("_aiohttp_hook", AiohttpHook(self._signer))
        return shared

    # Links.

    def presign_url(
        self, method: str, url: str, *, expires: int | None = None
    ) -> tuple[str, dict[str, str]]:
        """A URL with a signature in its query, which any program can call.

        :param url: an absolute URL as it will be sent.
        :param expires: seconds; by default the auth object's.
        :returns: the URL, and the headers that have to be sent with it (VPC Lattice wants
            ``x-amz-content-sha256``).
        :raises SigningError: for what cannot be signed.
        :raises ConfigurationError: for a URL that is not absolute, or none of ``hosts``.
        :raises CredentialsError: where there are no credentials.
        :raises RegionError: where no region can be found.
        :raises NotLatticeError: where names find that its host is not VPC Lattice's.

        With names, the URL has the host that they find. May block to fetch credentials, and to
        look up names. Bodies are not signed, so links of services that want a body's hash are for
        requests without one.
        """
        return self._signer.presign_url(method, url, expires=expires)

    # Before the first request.

    def prefetch_sync(self) -> None:
        """Fetch credentials now, so that the first request need not wait for them; may block. At
        start-up it shows at once whether there are any.

        If the region is an argument or in the environment, the signing key is derived as well.

        :raises CredentialsError: where there are no credentials.
        """
        self._signer.prefetch_sync()

    async def prefetch(self) -> None:
        """As :meth:`prefetch_sync`, without blocking the event loop: asyncio's, and with the
        classes of ``lattice_client.httpx`` and ``httpx2`` also trio's.

        :raises CredentialsError: where there are no credentials.
        """
        await self._signer.prefetch()


class LatticeAuth(SigV4Auth):
    """Signs requests to services behind Amazon VPC Lattice.

    Bodies are never read: Lattice accepts no signed payloads ("SIGv4 authenticated requests for
    Amazon VPC Lattice", VPC Lattice User Guide), so streams and files are sent unread.

    The parameters are those of :class:`SigV4Auth`; ``path_encoding`` is ``double`` as in AWS's own
    Python, Java and Node samples. It is not published what Lattice does with reserved characters in
    a path; ``double-raw`` is what AWS's SDKs for Go and JavaScript (v2) and aws-sigv4-proxy do, and
    ``single`` what two of AWS's Go samples do.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        *,
        region: str | None = None,
        credentials: CredentialsSource | None = None,
        profile: str | None = None,
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
        move_authorization_to: str | None = None,
    ) -> None:
        super().__init__(
            LATTICE,
            region=region,
            credentials=credentials,
            profile=profile,
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
            move_authorization_to=move_authorization_to,
        )


def _check_choice(name: str, value: object, choices: object) -> None:
    if value not in get_args(choices):
        raise ConfigurationError(
            f"{name} must be {' or '.join(map(repr, get_args(choices)))}, not {value!r}"
        )


def request_signer(auth: SigV4Auth) -> RequestSigner:
    """The signer of an auth object: for the clients, which call it for each attempt."""
    return auth._signer  # noqa: SLF001

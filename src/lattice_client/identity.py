"""Who calls, read on the service's side: the headers that VPC Lattice adds to a request.

>>> from lattice_client.identity import CallerIdentity
>>> caller = CallerIdentity.from_headers({
...     "x-amzn-lattice-identity": "Principal=arn:aws:sts::123456789012:assumed-role/shop/task-1; "
...     "PrincipalOrgID=o-a1b2c3d4e5; SessionName=task-1; Type=AWS_IAM",
... })
>>> caller.role, caller.account, caller.session
('shop', '123456789012', 'task-1')

**Only Lattice makes these headers trustworthy.** It strips incoming copies of
``x-amzn-lattice-identity``, ``-identity-tags``, ``-network`` and ``-target`` and writes its own.
Whoever reaches the service by another way (its address in the VPC, a load balancer, another
container of the same task) can write what they like. Let the service's security group admit
Lattice alone: the prefix list ``com.amazonaws.REGION.vpc-lattice``. ``x-amzn-requestid`` is the
caller's own text even behind Lattice: good for logs, good for nothing else.

Source: "HTTP targets in VPC Lattice" (VPC Lattice User Guide) and what others have observed: keys
come in any order, may be empty or new, and the space after ``;`` is not always there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

__all__ = [
    "SCOPE_KEY",
    "CallerIdentity",
    "Fields",
    "HeaderSource",
    "IdentityMiddleware",
    "WSGIIdentityMiddleware",
]

SCOPE_KEY: Final = "lattice.identity"
"""Where the middlewares put the identity: a key of the ASGI scope and of the WSGI environ."""

HeaderSource: TypeAlias = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Iterable[tuple[str, str]]
    | Iterable[tuple[bytes, bytes]]
)
"""Headers as any framework has them."""

_IDENTITY = "x-amzn-lattice-identity"
_TAGS = "x-amzn-lattice-identity-tags"
_NETWORK = "x-amzn-lattice-network"
_TARGET = "x-amzn-lattice-target"
_REQUEST_ID = "x-amzn-requestid"
_READ = frozenset({_IDENTITY, _TAGS, _NETWORK, _TARGET, _REQUEST_ID})

_OWS = " \t"
_SEPARATOR = re.compile(r"(?<!\\);")
# Servers and frameworks join what comes twice with a comma: before a field's name, or after a type,
# which has none.
_JOINED = re.compile(
    r",[ \t]*(?:Principal|PrincipalOrgID|PrincipalOrgPath|SessionName|Type|X509[\w/]*)="
    r"|(?:^|;)[ \t]*Type=[^;]*,",
    re.IGNORECASE | re.ASCII,
)
# Lattice writes these before the tags. They are none: what they say stands in the identity as well,
# where no tag of a caller's can be taken for it.
_NO_TAGS = ("principal", "principalorgid", "principalorgpath")
# The characters of IAM's names: "IAM and AWS STS quotas" (IAM User Guide).
_PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?P<kind>[a-z-]+)(?:/(?P<name>[\w+=,.@/-]+))?",
    re.ASCII,
)


class Fields(Mapping[str, str]):
    """Names and values as Lattice wrote them; a mapping that is hashable and cannot be changed."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)


_NO_FIELDS = Fields()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """What Lattice says of a request's caller, and of its way.

    :param status: ``authenticated``: there is a ``principal``. ``anonymous``: Lattice named nobody,
        for the request was not signed. ``unknown``: what it said could not be read, or came twice;
        treat it as anonymous, and look at the logs.
    :param principal: the caller's ARN.
    :param account: the account in that ARN.
    :param role: the role's name, without its path; None where the principal is no role.
    :param session: the role session's name.
    :param organization: the id of the account's organization.
    :param organization_path: where the account stands in its organization, such as
        ``o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/``.
    :param type: how the caller was authenticated, ``AWS_IAM``.
    :param tags: the principal's tags, without the fields of Lattice's own that stand before them.
    :param fields: all of ``x-amzn-lattice-identity``, also what is new.
    :param source_vpc: the ARN of the VPC that the request came from.
    :param service: the ARN of the service that was called.
    :param service_network: the ARN of the service network that it was called through.
    :param target_group: the ARN of the target group.
    :param request_id: ``x-amzn-requestid``: the caller's own text, if the caller sent one.
    """

    status: Literal["authenticated", "anonymous", "unknown"]
    principal: str | None = None
    account: str | None = None
    role: str | None = None
    session: str | None = None
    organization: str | None = None
    organization_path: str | None = None
    type: str | None = None
    tags: Fields = _NO_FIELDS
    fields: Fields = _NO_FIELDS
    source_vpc: str | None = None
    service: str | None = None
    service_network: str | None = None
    target_group: str | None = None
    request_id: str | None = None

    @classmethod
    def from_headers(cls, headers: HeaderSource) -> CallerIdentity:
        """Read a request's headers.

        :param headers: a mapping or pairs, of text or bytes, names in any case: ASGI's
            ``scope["headers"]``, or the ``headers`` of a request of Starlette, Flask or Django.
        :returns: the identity. Nothing that stands in a header makes this raise.
        """
        sent = _sent(headers)
        identity = _fields(sent.get(_IDENTITY, []))
        tags = _tags(sent.get(_TAGS, []))
        network = _fields(sent.get(_NETWORK, [])) or {}
        target = _fields(sent.get(_TARGET, [])) or {}
        facts: dict[str, Any] = {
            "tags": tags or _NO_FIELDS,
            "source_vpc": _value(network, "SourceVpcArn"),
            "service": _value(target, "ServiceArn"),
            "service_network": _value(target, "ServiceNetworkArn"),
            "target_group": _value(target, "TargetGroupArn"),
            "request_id": (sent.get(_REQUEST_ID) or [""])[0] or None,
        }
        if _IDENTITY not in sent:
            # Tags without a principal are a mistake.
            return cls(**facts | {"status": "anonymous", "tags": _NO_FIELDS})
        principal = _PRINCIPAL.fullmatch(_value(identity or {}, "Principal") or "")
        if identity is None or tags is None or principal is None:
            fields = Fields((identity or {}).values())
            return cls(**facts | {"status": "unknown", "tags": _NO_FIELDS, "fields": fields})
        role, session = _role_session(principal)
        return cls(
            status="authenticated",
            principal=principal[0],
            account=principal["account"],
            role=role,
            session=session or _value(identity, "SessionName"),
            organization=_value(identity, "PrincipalOrgID"),
            organization_path=_value(identity, "PrincipalOrgPath"),
            type=_value(identity, "Type"),
            fields=Fields(identity.values()),
            **facts,
        )

    @property
    def authenticated(self) -> bool:
        """Whether Lattice verified who called."""
        return self.status == "authenticated"

    @property
    def x509(self) -> Fields:
        """The certificate's fields of a caller that uses IAM Roles Anywhere, ``X509SubjectCN``
        among them."""
        return Fields(
            (name, value) for name, value in self.fields.items() if name.upper().startswith("X509")
        )


class IdentityMiddleware:
    """Puts the ``CallerIdentity`` into the scope of an ASGI application: ``scope[SCOPE_KEY]``.

    It refuses nobody: what an anonymous caller may do is the application's affair.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[..., Awaitable[Any]],
        send: Callable[..., Awaitable[Any]],
    ) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, SCOPE_KEY: CallerIdentity.from_headers(scope["headers"])}
        await self.app(scope, receive, send)


class WSGIIdentityMiddleware:
    """Puts the ``CallerIdentity`` into the environ of a WSGI application: ``environ[SCOPE_KEY]``.

    WSGI spells ``x_amzn_lattice_identity`` and ``x-amzn-lattice-identity`` alike. Lattice is not
    known to strip the former: let the server drop names with underscores, as gunicorn does unless
    told otherwise (``header_map``). Where both arrive and are joined, the status is ``unknown``, as
    far as that can be seen; of joined tags it cannot.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        headers = [
            (name[5:].replace("_", "-"), value)
            for name, value in environ.items()
            if name.startswith("HTTP_X_AMZN_")
        ]
        environ[SCOPE_KEY] = CallerIdentity.from_headers(headers)
        return self.app(environ, start_response)


def _sent(headers: HeaderSource) -> dict[str, list[str]]:
    """The values of the headers that count here, by lower-case name."""
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    sent: dict[str, list[str]] = {}
    for name, value in pairs:
        name = _text(name)
        # lower() makes ASCII letters of some that are not.
        if name.isascii() and name.lower() in _READ:
            sent.setdefault(name.lower(), []).append(_text(value).strip(_OWS))
    return sent


def _text(raw: str | bytes) -> str:
    """UTF-8 where it is UTF-8, else Latin-1; frameworks hand on bytes, or bytes as Latin-1."""
    try:
        octets = raw.encode("latin-1") if isinstance(raw, str) else raw
    except UnicodeEncodeError:
        return str(raw)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


_Pairs: TypeAlias = dict[str, tuple[str, str]]


def _fields(values: list[str]) -> _Pairs | None:
    """``Key=value; Key=value``, by key in lower case; None for several values, or a key twice."""
    pairs = _pairs(values)
    if pairs is None:
        return None
    found = {name.lower(): (name, value) for name, value in pairs}
    return found if len(found) == len(pairs) else None


def _tags(values: list[str]) -> Fields | None:
    """The tags, which may differ in case alone; None for several values, or a tag twice."""
    pairs = _pairs(values)
    if pairs is None:
        return None
    for own in _NO_TAGS:
        # The first of the name is Lattice's. A second one is a tag that a caller calls so.
        for pair in pairs:
            if pair[0].lower() == own:
                pairs.remove(pair)
                break
    found = Fields(pairs)
    return found if len(found) == len(pairs) else None


def _pairs(values: list[str]) -> list[tuple[str, str]] | None:
    """``Key=value; Key=value``; None if there is more than one value."""
    if len(values) > 1 or (values and _JOINED.search(values[0])):
        return None
    pairs = []
    for piece in _SEPARATOR.split(values[0]) if values else ():
        name, equals, value = piece.replace("\\;", ";").partition("=")
        name = name.strip(_OWS)
        if equals and name:
            pairs.append((name, value.strip(_OWS)))
    return pairs


def _value(fields: _Pairs, name: str) -> str | None:
    """A field's value; None if it is missing or empty."""
    return fields.get(name.lower(), ("", ""))[1] or None


def _role_session(principal: re.Match[str]) -> tuple[str | None, str | None]:
    """The role and the session that an ARN names, as far as it does."""
    name = principal["name"] or ""
    if principal["kind"] == "assumed-role":
        role, _, session = name.rpartition("/")
        return (role.rpartition("/")[2], session) if role else (name, None)
    if principal["kind"] == "role":
        return name.rpartition("/")[2] or None, None
    return None, None

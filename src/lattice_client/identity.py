"""The caller of a request, read by the service from the headers that VPC Lattice adds.

>>> from lattice_client.identity import CallerIdentity
>>> caller = CallerIdentity.from_headers({
...     "x-amzn-lattice-identity": "Principal=arn:aws:sts::123456789012:assumed-role/shop/task-1; "
...     "PrincipalOrgID=o-a1b2c3d4e5; SessionName=task-1; Type=AWS_IAM",
... })
>>> caller.role, caller.account, caller.session
('shop', '123456789012', 'task-1')

**Only Lattice makes these headers trustworthy.** It strips incoming copies of
``x-amzn-lattice-identity``, ``-identity-tags``, ``-network`` and ``-target`` and writes its own. A
request that reaches the service another way (its address in the VPC, a load balancer, another
container of the same task) can carry any values. Let the service's security group admit only
Lattice: the prefix list ``com.amazonaws.REGION.vpc-lattice``. ``x-amzn-requestid`` is the caller's
text even behind Lattice: use it for logs only.

Source: "HTTP targets in VPC Lattice" (VPC Lattice User Guide) and observation: keys come in any
order, may be empty or new, and the space after ``;`` may be missing.
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
"""The key of the ASGI scope or WSGI environ under which the middlewares store the identity."""

HeaderSource: TypeAlias = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Iterable[tuple[str, str]]
    | Iterable[tuple[bytes, bytes]]
)
"""Headers as the frameworks represent them."""

_IDENTITY = "x-amzn-lattice-identity"
_TAGS = "x-amzn-lattice-identity-tags"
_NETWORK = "x-amzn-lattice-network"
_TARGET = "x-amzn-lattice-target"
_REQUEST_ID = "x-amzn-requestid"
_READ = frozenset({_IDENTITY, _TAGS, _NETWORK, _TARGET, _REQUEST_ID})

_OWS = " \t"
_SEPARATOR = re.compile(r"(?<!\\);")
# Servers and frameworks join repeated headers with a comma: before the name of a field, or after a
# type, which contains none.
_JOINED = re.compile(
    r",[ \t]*(?:Principal|PrincipalOrgID|PrincipalOrgPath|SessionName|Type|X509[\w/]*)="
    r"|(?:^|;)[ \t]*Type=[^;]*,",
    re.IGNORECASE | re.ASCII,
)
# Lattice writes these fields before the tags. They are no tags. The identity has them too, and no
# tag of the caller's can be mistaken for them there.
_FIELDS_BEFORE_TAGS = ("principal", "principalorgid", "principalorgpath")
# The characters of IAM names: "IAM and AWS STS quotas" (IAM User Guide).
_PRINCIPAL = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?P<kind>[a-z-]+)(?:/(?P<name>[\w+=,.@/-]+))?",
    re.ASCII,
)


class Fields(Mapping[str, str]):
    """Names and values as Lattice wrote them: an immutable, hashable mapping."""

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
    """What Lattice states about a request's caller and its route.

    :param status: ``authenticated``: there is a ``principal``. ``anonymous``: Lattice named no
        caller, because the request was not signed. ``unknown``: the headers were unreadable or came
        twice; treat the caller as anonymous, and look at the logs.
    :param principal: the caller's ARN.
    :param account: the account in that ARN.
    :param role: the role's name, without its path; None if the principal is no role.
    :param session: the role session's name.
    :param organization: the id of the account's organization.
    :param organization_path: the account's path in its organization, such as
        ``o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/``.
    :param type: how the caller was authenticated, ``AWS_IAM``.
    :param tags: the principal's tags, without the fields that Lattice writes before them.
    :param fields: all fields of ``x-amzn-lattice-identity``, including unknown ones.
    :param source_vpc: the ARN of the VPC that the request came from.
    :param service: the ARN of the service that was called.
    :param service_network: the ARN of the service network that it was called through.
    :param target_group: the ARN of the target group.
    :param request_id: ``x-amzn-requestid``: the caller's text, if the caller sent one.
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
        :returns: the identity. No header value makes this raise.
        """
        sent = _values_by_name(headers)
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
            # Ignore tags without a principal.
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
        """Whether Lattice authenticated the caller."""
        return self.status == "authenticated"

    @property
    def x509(self) -> Fields:
        """The certificate fields of a caller that uses IAM Roles Anywhere, such as
        ``X509SubjectCN``."""
        return Fields(
            (name, value) for name, value in self.fields.items() if name.upper().startswith("X509")
        )


class IdentityMiddleware:
    """Puts the ``CallerIdentity`` into the scope of an ASGI application: ``scope[SCOPE_KEY]``.

    It refuses no request: the application decides what an anonymous caller may do.
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

    WSGI cannot distinguish ``x_amzn_lattice_identity`` from ``x-amzn-lattice-identity``. Lattice is
    not known to strip the former: let the server drop names with underscores, as gunicorn does by
    default (``header_map``). If both arrive joined, the status is ``unknown`` if that can be
    detected; in joined tags it cannot.
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


def _values_by_name(headers: HeaderSource) -> dict[str, list[str]]:
    """The values of the headers that are read here, by lower-case name."""
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    sent: dict[str, list[str]] = {}
    for name, value in pairs:
        name = _text(name)
        # lower() turns some non-ASCII letters into ASCII ones.
        if name.isascii() and name.lower() in _READ:
            sent.setdefault(name.lower(), []).append(_text(value).strip(_OWS))
    return sent


def _text(raw: str | bytes) -> str:
    """Decode UTF-8, else Latin-1. Frameworks pass bytes, or bytes decoded as Latin-1."""
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
    """The tags, whose names may differ in case only; None for several values, or a tag twice."""
    pairs = _pairs(values)
    if pairs is None:
        return None
    for own in _FIELDS_BEFORE_TAGS:
        # The first field of this name is Lattice's; a second one is a tag of the caller's.
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
    """The role and the session that an ARN names; None for what it does not name."""
    name = principal["name"] or ""
    if principal["kind"] == "assumed-role":
        role, _, session = name.rpartition("/")
        return (role.rpartition("/")[2], session) if role else (name, None)
    if principal["kind"] == "role":
        return name.rpartition("/")[2] or None, None
    return None, None

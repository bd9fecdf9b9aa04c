"""A request as policies see it: its parts, and the values of its condition keys.

Sources: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide) and
"AWS global condition context keys" (IAM User Guide). Inferred, because neither says: header lines
of the same name are joined by a comma; keys and values of the query are percent-decoded; both are
UTF-8; the path is the one on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl

__all__ = [
    "CONNECT",
    "DECODE_ERRORS",
    "INVOKE",
    "PolicyPrincipal",
    "PolicyRequest",
    "PrincipalType",
]

INVOKE: Final = "vpc-lattice-svcs:Invoke"
CONNECT: Final = "vpc-lattice-svcs:Connect"
#: The ``errors`` of decoding: bytes that are not UTF-8 become text that no policy contains.
DECODE_ERRORS: Final = "surrogateescape"

PrincipalType: TypeAlias = Literal["Account", "AssumedRole", "User"]
"""``aws:PrincipalType`` of signed requests; that of the others is ``Anonymous``."""


class PolicyPrincipal(Protocol):
    """What policies need of an authenticated caller. ``Principal`` has it."""

    @property
    def account(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def principal_arn(self) -> str: ...
    @property
    def type(self) -> PrincipalType: ...
    @property
    def user_id(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def organization(self) -> str | None: ...
    @property
    def organization_paths(self) -> Sequence[str]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class PolicyRequest:
    """A request to a service, for ``evaluate``.

    The repr leaves out headers, query and ``context``: they may hold a token or a signature.

    :param path: as on the wire, without the query.
    :param caller: the principal that signed; None for an anonymous request.
    :param query: the query string, or its keys and values.
    :param headers: names and values.
    :param port: the service's port; by default 443, or 80 if not ``secure``.
    :param service_arn: the service's ARN, without a path.
    :param source_vpc: the id of the VPC that the request comes from.
    :param source_vpc_account: the account that owns it; by default the service's.
    :param resource_tags: the service's tags.
    :param time: the time of the request, in seconds since the epoch or as a datetime with a zone;
        now if None.
    :param secure: whether it came over TLS.
    :param action: ``vpc-lattice-svcs:Invoke``, or ``Connect`` for TCP.
    :param context: further condition keys and their values; they override the others.
    :raises ValueError: if the path has a query or does not begin with a slash, the service's ARN
        is malformed, the time has no zone or is beyond the year 9999, or a value in ``context`` is
        not a string.
    """

    method: str = "GET"
    path: str = "/"
    caller: PolicyPrincipal | None = None
    query: str | Mapping[str, str | Sequence[str]] = field(default="", kw_only=True, repr=False)
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(
        default=(), kw_only=True, repr=False
    )
    port: int | None = field(default=None, kw_only=True)
    service_arn: str = field(
        default="arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0123456789abcdef0",
        kw_only=True,
    )
    network_arn: str | None = field(default=None, kw_only=True)
    source_vpc: str | None = field(default=None, kw_only=True)
    source_vpc_account: str | None = field(default=None, kw_only=True)
    source_ip: str | None = field(default=None, kw_only=True)
    resource_tags: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    time: datetime | float | None = field(default=None, kw_only=True)
    secure: bool = field(default=True, kw_only=True)
    action: str = field(default=INVOKE, kw_only=True)
    context: Mapping[str, str | Sequence[str]] = field(
        default_factory=dict, kw_only=True, repr=False
    )

    def __post_init__(self) -> None:
        if self.action == INVOKE and (not self.path.startswith("/") or "?" in self.path):
            raise ValueError("path must begin with '/' and have no query; pass that as query=…")
        if not _is_service_arn(self.service_arn):
            raise ValueError(f"{self.service_arn!r} is not the ARN of a service (without a path)")
        if isinstance(self.time, datetime) and self.time.tzinfo is None:
            raise ValueError("time must have a zone, such as datetime.UTC")
        if isinstance(self.time, int | float):
            try:
                _time(self)
            except (OverflowError, ValueError, OSError):
                raise ValueError(
                    f"time={self.time!r} is not a time in seconds since 1970"
                ) from None
        for name, given in self.context.items():
            if not _are_strings(given):
                raise ValueError(
                    f"the values of {name!r} in context must be strings, such as 'true' and '5'"
                )

    @property
    def resource(self) -> str:
        """The resource: the service's ARN, with the path for an ``Invoke``."""
        return self.service_arn + self.path if self.action == INVOKE else self.service_arn

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key, named in any case; None if it has none."""
        key = key.lower()
        if self.context:
            for name, given in self.context.items():
                if name.lower() == key:
                    return (given,) if isinstance(given, str) else tuple(given)
        read = _SINGLE_VALUED.get(key)
        if read is None:
            return self._named_or_multivalued(key)
        value = read(self)
        return None if value is None else (value,)

    def _named_or_multivalued(self, key: str) -> tuple[str, ...] | None:
        if key == "aws:principalorgpaths":
            return tuple(self.caller.organization_paths) or None if self.caller else None
        prefix, slash, name = key.partition("/")
        match prefix + slash:
            case "vpc-lattice-svcs:requestheader/":
                return _header(self, name)
            case "vpc-lattice-svcs:requestquerystring/":
                return self._query_values.get(name)
            case "aws:principaltag/":
                return None if self.caller is None else _tag(self.caller.tags, name)
            case "aws:resourcetag/":
                return _tag(self.resource_tags, name)
        return None

    @cached_property
    def _query_values(self) -> dict[str, tuple[str, ...]]:
        pairs: list[tuple[str, str]] = []
        if self.action != INVOKE:
            pass
        elif isinstance(self.query, str):
            pairs = parse_qsl(self.query, keep_blank_values=True, errors=DECODE_ERRORS)
        else:
            for name, values in self.query.items():
                pairs += [(name, value) for value in _as_list(values)]
        sent: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            sent[name.lower()] = (*sent.get(name.lower(), ()), value)
        return sent


# Many requests go to few services.
@lru_cache(maxsize=256)
def _is_service_arn(text: str) -> bool:
    return bool(re.fullmatch(r"arn:[^:]+:vpc-lattice:[^:]*:[^:]*:service/[^/:]+", text))


def _are_strings(given: object) -> bool:
    return isinstance(given, str) or (
        isinstance(given, Sequence) and all(isinstance(value, str) for value in given)
    )


def _as_list(values: str | Sequence[str]) -> Sequence[str]:
    return [values] if isinstance(values, str) else values


def _tag(tags: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """A tag's value. Case makes no difference, as with all condition keys."""
    for key, value in tags.items():
        if key.lower() == name:
            return (value,)
    return None


def _header(request: PolicyRequest, name: str) -> tuple[str, ...] | None:
    if request.action != INVOKE:
        return None
    headers = request.headers
    pairs = headers if isinstance(headers, Sequence) else list(headers.items())
    values = [value for sent, value in pairs if sent.lower() == name]
    return (",".join(values),) if values else None


def _time(request: PolicyRequest) -> datetime:
    if isinstance(request.time, datetime):
        return request.time.astimezone(UTC)
    if request.time is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(request.time, UTC)


def _now(request: PolicyRequest) -> str:
    return _time(request).strftime("%Y-%m-%dT%H:%M:%SZ")


def _token_issue_time(request: PolicyRequest) -> str | None:
    # The start of the session is not known here; the time of the request is no earlier.
    is_session = request.caller is not None and request.caller.type == "AssumedRole"
    return _now(request) if is_session else None


def _vpc_account(request: PolicyRequest) -> str | None:
    if request.source_vpc_account is None and request.source_vpc is not None:
        return request.service_arn.split(":")[4]
    return request.source_vpc_account


def _of_caller(
    read: Callable[[PolicyPrincipal], str | None], anonymous: str | None = None
) -> Callable[[PolicyRequest], str | None]:
    return lambda request: anonymous if request.caller is None else read(request.caller)


def _of_header(name: str) -> Callable[[PolicyRequest], str | None]:
    return lambda request: (_header(request, name) or (None,))[0]


def _of_call(read: Callable[[PolicyRequest], str]) -> Callable[[PolicyRequest], str | None]:
    return lambda request: read(request) if request.action == INVOKE else None


# The readers of condition keys that have at most one value and no name after a slash.
_SINGLE_VALUED: Final[dict[str, Callable[[PolicyRequest], str | None]]] = {
    "vpc-lattice-svcs:port": lambda request: str(request.port or (443 if request.secure else 80)),
    "vpc-lattice-svcs:requestmethod": _of_call(lambda request: request.method),
    "vpc-lattice-svcs:requestpath": _of_call(lambda request: request.path),
    "vpc-lattice-svcs:servicearn": lambda request: request.service_arn,
    "vpc-lattice-svcs:servicenetworkarn": lambda request: request.network_arn,
    "vpc-lattice-svcs:sourcevpc": lambda request: request.source_vpc,
    "vpc-lattice-svcs:sourcevpcowneraccount": _vpc_account,
    "aws:currenttime": _now,
    "aws:epochtime": lambda request: str(int(_time(request).timestamp())),
    "aws:principalaccount": _of_caller(lambda caller: caller.account, "anonymous"),
    "aws:principalarn": _of_caller(lambda caller: caller.principal_arn),
    "aws:principalisawsservice": _of_caller(lambda _: "false"),
    "aws:principalorgid": _of_caller(lambda caller: caller.organization),
    "aws:principaltype": _of_caller(lambda caller: caller.type, "Anonymous"),
    "aws:referer": _of_header("referer"),
    "aws:requestedregion": lambda request: request.service_arn.split(":")[3],
    "aws:resourceaccount": lambda request: request.service_arn.split(":")[4],
    "aws:securetransport": lambda request: "true" if request.secure else "false",
    "aws:sourceip": lambda request: request.source_ip,
    "aws:tokenissuetime": _token_issue_time,
    "aws:useragent": _of_header("user-agent"),
    "aws:userid": _of_caller(lambda caller: caller.user_id, "anonymous"),
    "aws:username": _of_caller(lambda caller: caller.user),
}

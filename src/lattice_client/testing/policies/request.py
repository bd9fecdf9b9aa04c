"""A request, as policies see it: its parts, and the request context of condition keys.

Sources: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide) and
"AWS global condition context keys" (IAM User Guide). What neither says is inferred: several header
lines of one name are joined by a comma, keys and values of the query are percent-decoded, both are
UTF-8, and the path is the one on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl

__all__ = ["CONNECT", "INVOKE", "ODD_BYTES", "PolicyPrincipal", "PolicyRequest", "PrincipalType"]

INVOKE: Final = "vpc-lattice-svcs:Invoke"
CONNECT: Final = "vpc-lattice-svcs:Connect"
#: How bytes that are no UTF-8 become text: as something that stands in no policy.
ODD_BYTES: Final = "surrogateescape"

PrincipalType: TypeAlias = Literal["Account", "AssumedRole", "User"]
"""``aws:PrincipalType`` of callers who signed; that of the others is ``Anonymous``."""


class PolicyPrincipal(Protocol):
    """What policies must know of an authenticated caller; ``Principal`` fits."""

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

    Its repr leaves out headers, query and ``context``: they may hold a token or a signature.

    :param path: as on the wire, without the query.
    :param caller: who signed; None for an anonymous request.
    :param query: the query string, or its keys and values.
    :param headers: names and values.
    :param port: the service's port; by default 443, or 80 where ``secure`` is not set.
    :param service_arn: the service's ARN, without a path.
    :param source_vpc: the id of the VPC the request comes from.
    :param source_vpc_account: the account that owns it; by default the service's.
    :param resource_tags: the service's tags.
    :param time: when it is made, in seconds since the epoch or as a datetime with a zone; now if
        None.
    :param secure: whether it came over TLS.
    :param action: ``vpc-lattice-svcs:Invoke``, or ``Connect`` for TCP.
    :param context: further condition keys and their values; they come before the others.
    :raises ValueError: if the path has a query or does not begin with a slash, the service's ARN
        is none, the time has no zone or is beyond the year 9999, or ``context`` has other values
        than strings.
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
            raise ValueError("path begins with '/' and has no query; that is for query=…")
        if not _is_service_arn(self.service_arn):
            raise ValueError(f"{self.service_arn!r} is no ARN of a service (without a path)")
        if isinstance(self.time, datetime) and self.time.tzinfo is None:
            raise ValueError("time must have a zone, such as datetime.UTC")
        if isinstance(self.time, int | float):
            try:
                _time(self)
            except (OverflowError, ValueError, OSError):
                raise ValueError(f"time={self.time!r} is no time in seconds since 1970") from None
        for name, given in self.context.items():
            if not _are_strings(given):
                raise ValueError(
                    f"the values of {name!r} in context must be strings, such as 'true' and '5'"
                )

    @property
    def resource(self) -> str:
        """What it is about: the service's ARN, with the path where there is one."""
        return self.service_arn + self.path if self.action == INVOKE else self.service_arn

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key, whose name may be in any case; None if it is not there."""
        key = key.lower()
        if self.context:
            for name, given in self.context.items():
                if name.lower() == key:
                    return (given,) if isinstance(given, str) else tuple(given)
        fact = _FACTS.get(key)
        if fact is None:
            return self._further_values(key)
        value = fact(self)
        return None if value is None else (value,)

    def _further_values(self, key: str) -> tuple[str, ...] | None:
        if key == "aws:principalorgpaths":
            return tuple(self.caller.organization_paths) or None if self.caller else None
        prefix, slash, name = key.partition("/")
        match prefix + slash:
            case "vpc-lattice-svcs:requestheader/":
                return _header(self, name)
            case "vpc-lattice-svcs:requestquerystring/":
                return self._sent_query.get(name)
            case "aws:principaltag/":
                return None if self.caller is None else _tag(self.caller.tags, name)
            case "aws:resourcetag/":
                return _tag(self.resource_tags, name)
        return None

    @cached_property
    def _sent_query(self) -> dict[str, tuple[str, ...]]:
        pairs: list[tuple[str, str]] = []
        if self.action != INVOKE:
            pass
        elif isinstance(self.query, str):
            pairs = parse_qsl(self.query, keep_blank_values=True, errors=ODD_BYTES)
        else:
            for name, values in self.query.items():
                pairs += [(name, value) for value in _listed(values)]
        sent: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            sent[name.lower()] = (*sent.get(name.lower(), ()), value)
        return sent


# Of few services there are many requests.
@lru_cache(maxsize=256)
def _is_service_arn(text: str) -> bool:
    return bool(re.fullmatch(r"arn:[^:]+:vpc-lattice:[^:]*:[^:]*:service/[^/:]+", text))


def _are_strings(given: object) -> bool:
    return isinstance(given, str) or (
        isinstance(given, Sequence) and all(isinstance(value, str) for value in given)
    )


def _listed(values: str | Sequence[str]) -> Sequence[str]:
    return [values] if isinstance(values, str) else values


def _tag(tags: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """A tag's value; like all condition keys, it is the same in any case."""
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
    # When a session began is not known here; it did, and not in the future.
    is_session = request.caller is not None and request.caller.type == "AssumedRole"
    return _now(request) if is_session else None


def _vpc_account(request: PolicyRequest) -> str | None:
    if request.source_vpc_account is None and request.source_vpc is not None:
        return request.service_arn.split(":")[4]
    return request.source_vpc_account


def _of_caller(
    fact: Callable[[PolicyPrincipal], str | None], anonymous: str | None = None
) -> Callable[[PolicyRequest], str | None]:
    return lambda request: anonymous if request.caller is None else fact(request.caller)


def _of_header(name: str) -> Callable[[PolicyRequest], str | None]:
    return lambda request: (_header(request, name) or (None,))[0]


def _of_call(fact: Callable[[PolicyRequest], str]) -> Callable[[PolicyRequest], str | None]:
    return lambda request: fact(request) if request.action == INVOKE else None


# Where the values of condition keys come from.
_FACTS: Final[dict[str, Callable[[PolicyRequest], str | None]]] = {
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

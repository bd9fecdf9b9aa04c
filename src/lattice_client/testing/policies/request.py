"""A request, as policies see it: its parts, and the request context of condition keys.

Sources: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide) and
"AWS global condition context keys" (IAM User Guide). What neither says is inferred: several header
lines of one name are joined by a comma, keys and values of the query are percent-decoded, and the
path is the one on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl

__all__ = ["CONNECT", "INVOKE", "PolicyPrincipal", "PolicyRequest", "PrincipalType"]

INVOKE: Final = "vpc-lattice-svcs:Invoke"
CONNECT: Final = "vpc-lattice-svcs:Connect"

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
        is none, or the time has no zone.
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
        if not re.fullmatch(r"arn:[^:]+:vpc-lattice:[^:]*:[^:]*:service/[^/:]+", self.service_arn):
            raise ValueError(f"{self.service_arn!r} is no ARN of a service (without a path)")
        if isinstance(self.time, datetime) and self.time.tzinfo is None:
            raise ValueError("time must have a zone, such as datetime.UTC")

    @property
    def resource(self) -> str:
        """What it is about: the service's ARN, with the path where there is one."""
        return self.service_arn + self.path if self.action == INVOKE else self.service_arn

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key, whose name may be in any case; None if it is not there."""
        return self._context.get(key.lower())

    @cached_property
    def _context(self) -> dict[str, tuple[str, ...]]:
        region, account = self.service_arn.split(":")[3:5]
        context: dict[str, tuple[str, ...]] = {}
        facts = {
            "vpc-lattice-svcs:Port": str(self.port or (443 if self.secure else 80)),
            "vpc-lattice-svcs:ServiceArn": self.service_arn,
            "vpc-lattice-svcs:ServiceNetworkArn": self.network_arn,
            "vpc-lattice-svcs:SourceVpc": self.source_vpc,
            "vpc-lattice-svcs:SourceVpcOwnerAccount": (
                self.source_vpc_account or (account if self.source_vpc else None)
            ),
            "aws:RequestedRegion": region,
            "aws:ResourceAccount": account,
            "aws:SecureTransport": "true" if self.secure else "false",
            "aws:SourceIp": self.source_ip,
            **self._time_facts(),
            **self._caller_facts(),
            **{f"aws:ResourceTag/{key}": value for key, value in self.resource_tags.items()},
        }
        if self.action == INVOKE:
            facts["vpc-lattice-svcs:RequestMethod"] = self.method
            facts["vpc-lattice-svcs:RequestPath"] = self.path
            context.update(self._sent_facts())
        context.update({key.lower(): (value,) for key, value in facts.items() if value is not None})
        if self.caller is not None and self.caller.organization_paths:
            context["aws:principalorgpaths"] = tuple(self.caller.organization_paths)
        for key, value in self.context.items():
            context[key.lower()] = (value,) if isinstance(value, str) else tuple(value)
        return context

    def _time_facts(self) -> dict[str, str]:
        when = self.time
        if not isinstance(when, datetime):
            when = datetime.now(UTC) if when is None else datetime.fromtimestamp(when, UTC)
        now = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {"aws:CurrentTime": now, "aws:EpochTime": str(int(when.timestamp()))}
        if self.caller is not None and self.caller.type == "AssumedRole":
            # When a session began is not known here; it is there, and not in the future.
            facts["aws:TokenIssueTime"] = now
        return facts

    def _caller_facts(self) -> dict[str, str | None]:
        caller = self.caller
        if caller is None:
            return {"aws:PrincipalType": "Anonymous", "aws:userid": "anonymous"}
        return {
            "aws:PrincipalAccount": caller.account,
            "aws:PrincipalArn": caller.principal_arn,
            "aws:PrincipalIsAWSService": "false",
            "aws:PrincipalOrgID": caller.organization,
            "aws:PrincipalType": caller.type,
            "aws:userid": caller.user_id,
            "aws:username": caller.user,
            **{f"aws:PrincipalTag/{key}": value for key, value in caller.tags.items()},
        }

    def _sent_facts(self) -> dict[str, tuple[str, ...]]:
        """The keys that come from the request's headers and query."""
        facts: dict[str, tuple[str, ...]] = {}
        headers = self.headers
        pairs = headers if isinstance(headers, Sequence) else list(headers.items())
        for name, value in pairs:
            key = f"vpc-lattice-svcs:requestheader/{name.lower()}"
            facts[key] = (f"{facts[key][0]},{value}" if key in facts else value,)
        for name, key in (("user-agent", "aws:useragent"), ("referer", "aws:referer")):
            sent = facts.get(f"vpc-lattice-svcs:requestheader/{name}")
            if sent is not None:
                facts[key] = sent
        for name, value in self._query_pairs():
            key = f"vpc-lattice-svcs:requestquerystring/{name.lower()}"
            facts[key] = (*facts.get(key, ()), value)
        return facts

    def _query_pairs(self) -> list[tuple[str, str]]:
        if isinstance(self.query, str):
            return parse_qsl(self.query, keep_blank_values=True, encoding="latin-1")
        return [
            (name, value)
            for name, values in self.query.items()
            for value in ([values] if isinstance(values, str) else values)
        ]

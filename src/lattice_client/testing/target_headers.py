"""The headers that Lattice adds for targets.

Source: "HTTP targets in VPC Lattice" (VPC Lattice User Guide). Incoming copies are stripped, so
that nobody can pass for somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.testing.callers import Principal
    from lattice_client.testing.exchange import Exchange
    from lattice_client.testing.services import Service
    from lattice_client.testing.target_groups import TargetGroup

__all__ = ["identity", "target_headers"]

_STRIPPED = {
    b"x-amzn-requestid",
    b"x-forwarded-for",
    b"x-forwarded-port",
    b"x-forwarded-proto",
}
_STRIPPED_PREFIX = b"x-amzn-lattice-"


def target_headers(exchange: Exchange, vpc_arn: str) -> list[tuple[bytes, bytes]]:
    """The request's headers, as its target gets them."""
    added = {
        "x-amzn-lattice-network": f"SourceVpcArn={vpc_arn}",
        "x-amzn-lattice-target": (
            f"ServiceArn={_arn(exchange.service)};ServiceNetworkArn={exchange.network.arn};"
            f"TargetGroupArn={_arn(exchange.target_group)}"
        ),
        "x-forwarded-proto": exchange.scope.get("scheme", "http"),
    }
    if exchange.principal is not None:
        added["x-amzn-lattice-identity"] = identity(exchange.principal)
    if exchange.scope.get("client"):
        added["x-forwarded-for"] = exchange.scope["client"][0]
    if exchange.scope.get("server"):
        added["x-forwarded-port"] = str(exchange.scope["server"][1])
    kept = [
        (name, value)
        for name, value in exchange.request.headers
        if name.lower() not in _STRIPPED and not name.lower().startswith(_STRIPPED_PREFIX)
    ]
    return [
        *kept,
        *((name.encode(), value.encode()) for name, value in added.items()),
        (b"x-amzn-requestid", exchange.request_id),
    ]


def _arn(resource: Service | TargetGroup | None) -> str:
    return "" if resource is None else resource.arn


def identity(principal: Principal) -> str:
    """``x-amzn-lattice-identity`` of a caller. A key without a value stays, empty."""
    return (
        f"Principal={principal.arn}; PrincipalOrgID={principal.organization or ''}; "
        f"SessionName={principal.session}; Type=AWS_IAM"
    )

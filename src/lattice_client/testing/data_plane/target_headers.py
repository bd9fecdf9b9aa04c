r"""The headers that Lattice adds for targets.

Source: "HTTP targets in VPC Lattice" (VPC Lattice User Guide). A client's own copies are stripped,
so that no client can pass for another:

===============================  =====================================================
header                           what targets get
===============================  =====================================================
``x-amzn-lattice-identity``      ``Principal=…; PrincipalOrgID=…; PrincipalOrgPath=…;
                                 SessionName=…; Type=AWS_IAM``; none for an anonymous caller
``x-amzn-lattice-identity-tags`` ``principal=…;principalorgid=…;principalorgpath=…`` and then the
                                 tags, ``;key=value``, a ``;`` inside written ``\;``; none for an
                                 anonymous caller (inferred: a caller without tags has it)
``x-amzn-lattice-network``       ``SourceVpcArn=…``
``x-amzn-lattice-target``        ``ServiceArn=…;ServiceNetworkArn=…;TargetGroupArn=…``
``x-amzn-lattice-…``             nothing: every other name that begins so is stripped too
``x-forwarded-for``              the client's address only, without the client's own value
``x-forwarded-port``             the port that the client connected to: the local server's, so that
                                 links made from it work; without one the listener's
``x-forwarded-proto``            ``http`` or ``https``
``x-amzn-requestid``             the client's own, cut at 512 bytes, or a new one
===============================  =====================================================

Names match in any case, and with underscores for hyphens, which CGI and WSGI read alike. That
Lattice strips the latter as well is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from lattice_client.testing.lattice_headers import (
    _joined,
    _organization_path,
    identity_tags,
    is_lattices_own,
)

if TYPE_CHECKING:
    from lattice_client.testing.data_plane.exchange import Exchange
    from lattice_client.testing.model.callers import Principal
    from lattice_client.testing.model.services import Service
    from lattice_client.testing.model.target_groups import TargetGroup

__all__ = ["identity", "principal_tags", "target_headers"]


def target_headers(exchange: Exchange, vpc_arn: str) -> list[tuple[bytes, bytes]]:
    """The request's headers, as the target gets them."""
    scope, caller = exchange.scope, exchange.principal
    client, server = scope.get("client"), scope.get("server")
    arns = _arn(exchange.service), exchange.network.arn, _arn(exchange.target_group)
    headers = [header for header in exchange.request.headers if not is_lattices_own(header[0])]
    headers += [
        (b"x-amzn-lattice-network", b"SourceVpcArn=" + vpc_arn.encode()),
        (b"x-amzn-lattice-target", _target(*arns)),
        (b"x-forwarded-proto", scope.get("scheme", "http").encode()),
    ]
    if caller is not None:
        headers.append((b"x-amzn-lattice-identity", identity(caller).encode()))
        headers.append((b"x-amzn-lattice-identity-tags", identity_tags(caller).encode()))
    if client:
        headers.append((b"x-forwarded-for", client[0].encode()))
    port = server[1] if server else None
    if port is None and exchange.listener is not None:
        port = exchange.listener.port
    if port is not None:
        # A string under granian.
        headers.append((b"x-forwarded-port", str(port).encode()))
    headers.append((b"x-amzn-requestid", exchange.request_id))
    return headers


def _arn(resource: Service | TargetGroup | None) -> str:
    return "" if resource is None else resource.arn


@lru_cache(maxsize=256)
def _target(service_arn: str, network_arn: str, group_arn: str) -> bytes:
    return (
        f"ServiceArn={service_arn};ServiceNetworkArn={network_arn};TargetGroupArn={group_arn}"
    ).encode()


def identity(principal: Principal) -> str:
    """``x-amzn-lattice-identity`` of a caller. A key without a value stays, with an empty one."""
    return (
        f"Principal={principal.arn}; PrincipalOrgID={principal.organization or ''}; "
        f"PrincipalOrgPath={_organization_path(principal)}; "
        f"SessionName={principal.session}; Type=AWS_IAM"
    )


def principal_tags(tags: Mapping[str, str]) -> str:
    """The access log's ``callerPrincipalTags``."""
    return _joined(tags.items())

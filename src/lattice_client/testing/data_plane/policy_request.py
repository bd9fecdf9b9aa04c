"""One request as auth policies see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from lattice_client.testing.policies import PolicyRequest
from lattice_client.testing.policies.request import DECODE_ERRORS

if TYPE_CHECKING:
    from lattice_client.testing.data_plane.exchange import Exchange
    from lattice_client.testing.model.services import Service
    from lattice_client.testing.verification.canonical import Headers

__all__ = ["policy_request"]


class _DecodedHeaders(Sequence[tuple[str, str]]):
    """Headers as text, decoded only when a policy reads one."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __len__(self) -> int:
        return len(self._headers)

    @overload
    def __getitem__(self, index: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, str]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, str] | Sequence[tuple[str, str]]:
        if isinstance(index, slice):
            return _DecodedHeaders(self._headers[index])
        name, value = self._headers[index]
        return name.decode("latin-1"), value.decode("utf-8", DECODE_ERRORS)


def policy_request(
    exchange: Exchange,
    service: Service,
    *,
    network_arn: str,
    source_vpc: str,
    source_vpc_account: str,
    now: float,
    port: int | None = None,
) -> PolicyRequest:
    """A request as policies see it.

    :param port: of the service's listener; by default 443 or 80, by the scheme. The port that the
        local Lattice listens at means nothing.
    """
    request, scope = exchange.request, exchange.scope
    client = scope.get("client")
    return PolicyRequest(
        request.method,
        request.path.decode("latin-1"),
        exchange.principal,
        query=request.query.decode("utf-8", DECODE_ERRORS),
        headers=_DecodedHeaders(request.headers),
        port=port,
        service_arn=service.arn,
        network_arn=network_arn,
        source_vpc=source_vpc,
        source_vpc_account=source_vpc_account,
        source_ip=client[0] if client else None,
        resource_tags=service.tags,
        time=now,
        secure=scope.get("scheme") == "https",
    )

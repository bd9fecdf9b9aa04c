"""Admission of requests: routing to a service, authentication, authorisation.

Source: "How VPC Lattice works" and "SIGv4 authenticated requests for Amazon VPC Lattice" (VPC
Lattice User Guide).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from lattice_client.testing.data_plane.authorization import authorize
from lattice_client.testing.data_plane.limits import check_limits
from lattice_client.testing.data_plane.policy_request import policy_request
from lattice_client.testing.host_header import host_port
from lattice_client.testing.model.auth_layer import AuthLayer
from lattice_client.testing.model.services import service_at
from lattice_client.testing.refusals import malformed, not_found, unrecognized_client
from lattice_client.testing.verification.signature import is_signed

if TYPE_CHECKING:
    from lattice_client.testing.data_plane.exchange import Exchange
    from lattice_client.testing.model.callers import CallerRegistry
    from lattice_client.testing.verification.verifier import Verified, Verifier

__all__ = ["Admission"]

Layers: TypeAlias = tuple[AuthLayer, ...]


class Admission:
    """Admits requests, or refuses them.

    :param clock: the time for policies, in seconds since the epoch.
    """

    def __init__(self, callers: CallerRegistry, clock: Callable[[], float]) -> None:
        self._callers = callers
        self._clock = clock

    def route(self, exchange: Exchange) -> Layers:
        """Find the service of a request, and note it in the exchange.

        :returns: the layers of policies that the request must pass.
        :raises RefusedError: if there is no such service, or the request is malformed.
        """
        check_limits(exchange.request, exchange.scope.get("http_version", "1.1"))
        hosts = exchange.request.by_name.get("host", ())
        if len(hosts) != 1:
            raise malformed("there must be exactly one Host header")
        host = hosts[0].decode("latin-1")
        service = service_at(host, exchange.network.services)
        if service is None:
            raise not_found()
        exchange.service = service
        exchange.listener = service.listener(exchange.scope.get("scheme", "http"), host_port(host))
        if exchange.listener is None:
            # Lattice would not accept the connection.
            raise not_found()
        return exchange.network.auth, service.auth

    async def authenticate(self, exchange: Exchange, verifier: Verifier) -> Verified | None:
        """Find out who calls, and note it in the exchange.

        :returns: the signature; None for an anonymous caller.
        :raises RefusedError: if the signature does not hold.
        """
        request = exchange.request
        if not is_signed(request):
            return None  # Real records of unsigned requests have no resolvedUser.
        # Also if anonymous callers may pass, or no layer asks: "VPC Lattice attempts to
        # authenticate any request that is signed" (SIGv4 authenticated requests).
        exchange.record["resolvedUser"] = "Unknown"
        body = await exchange.read_body() if verifier.needs_body(request) else b""
        verified = verifier.verify(request, body)
        exchange.principal = self._callers.principal(verified.access_key)
        if exchange.principal is None:
            raise unrecognized_client()  # Revoked since the verification.
        exchange.record["resolvedUser"] = exchange.principal.arn
        return verified

    def authorize(
        self, exchange: Exchange, layers: Layers, *, source_vpc: str, source_vpc_account: str
    ) -> None:
        """Evaluate the policies, if a layer has the auth type ``AWS_IAM``.

        :param source_vpc: the id of the VPC that the request comes from.
        :raises RefusedError: if one denies the call, or none allows it.
        """
        if "AWS_IAM" not in [layer.auth_type for layer in layers]:
            return
        service = exchange.service
        assert service is not None  # noqa: S101 - it was routed
        request = policy_request(
            exchange,
            service,
            network_arn=exchange.network.arn,
            source_vpc=source_vpc,
            source_vpc_account=source_vpc_account,
            now=self._clock(),
            port=None if exchange.listener is None else exchange.listener.port,
        )
        caller = exchange.principal
        denial = authorize(layers, request, None if caller is None else caller.policies)
        if denial is not None:
            exchange.record["authDeniedReason"] = denial.layer
            raise denial.refusal

"""What becomes of a request that was let in: its rule, its target, and targets that fail.

Source: "Listener rules" and "Error codes" (VPC Lattice User Guide): a failure to connect to a
target is answered with 500. What a target's other failures are answered with is inferred: 502.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from lattice_client.testing.asgi import ASGIApp, Scope
from lattice_client.testing.data_plane.exchange import Exchange
from lattice_client.testing.data_plane.target_headers import target_headers
from lattice_client.testing.model.rules import FixedResponse
from lattice_client.testing.refusals import RefusedError, TargetFailedError
from lattice_client.testing.targets.lifespan import Lifespans

__all__ = ["Forwarder"]

_log = logging.getLogger("lattice_client.testing")

# A file sent past the exchange would be missing in its byte counts.
_PAST_THE_EXCHANGE = ("http.response.pathsend", "http.response.zerocopysend")


class Forwarder:
    """Passes requests on to targets, by their listener's rules.

    :param lifespans: the targets' own.
    :param draw: gives a random number from 0 up to 1, without 1, for weights.
    """

    def __init__(self, lifespans: Lifespans, draw: Callable[[], float]) -> None:
        self._lifespans = lifespans
        self._draw = draw

    def choose(self, exchange: Exchange) -> ASGIApp:
        """The target for a request, by the rule it matches; noted in the exchange.

        :raises RefusedError: where the rule is a fixed response.
        :raises TargetFailedError: where the target group has no targets.
        """
        assert exchange.listener is not None  # noqa: S101 - it was let in
        action = exchange.listener.rules.find(exchange.request).action
        if isinstance(action, FixedResponse):
            raise RefusedError(action.status, HTTPStatus(action.status).phrase)
        group = exchange.target_group = action.choose(self._draw)
        target = group.choose()
        if target is None:
            raise TargetFailedError(
                f"target group {group.name} has no targets",
                status=500,
                failure="TargetConnectionError",
            )
        return target.app

    async def forward(self, exchange: Exchange, vpc_arn: str) -> None:
        """Let a target answer, or answer for it.

        :raises RefusedError: where the rule is a fixed response.
        :raises Exception: the target's own, where its response had begun.
        """
        status = 502
        try:
            target = self.choose(exchange)
            exchange.forwarded = True
            scope = _scope(exchange, vpc_arn)
            scope["state"] = await self._lifespans.state(target)
            await target(scope, exchange.receive, exchange.send)
        except RefusedError:
            raise
        except Exception as error:
            if exchange.started and not exchange.ended:
                # There is no taking it back: let the server cut the connection.
                exchange.failed("TargetConnectionClosed")
                raise
            service = exchange.service.name if exchange.service else ""
            if isinstance(error, TargetFailedError):
                _log.warning("the target of service %s failed: %s", service, error)
                status = error.status
                exchange.failed(error.failure)
            else:
                _log.exception("the target of service %s failed", service)
                exchange.failed("TargetConnectionError")
        else:
            if exchange.started and not exchange.ended:
                exchange.failed("TargetConnectionClosed")
            elif not exchange.started:
                exchange.failed("TargetProtocolError")
        if not exchange.started and not exchange.disconnected:
            await exchange.answer(status, HTTPStatus(status).phrase)


def _scope(exchange: Exchange, vpc_arn: str) -> Scope:
    return {
        **exchange.scope,
        "raw_path": exchange.request.path,
        "headers": target_headers(exchange, vpc_arn),
        "extensions": {
            name: extension
            for name, extension in (exchange.scope.get("extensions") or {}).items()
            if name not in _PAST_THE_EXCHANGE
        },
    }

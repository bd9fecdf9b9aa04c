"""Forwarding of an admitted request: its rule, its target, and targets that fail.

Source: "Listener rules" and "Error codes" (VPC Lattice User Guide): a failure to connect to a
target is answered with 500. The answer to a target's other failures, 502, is inferred.
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

# The server would send such files itself, and their bytes would be missing in the access log.
_FILE_EXTENSIONS = ("http.response.pathsend", "http.response.zerocopysend")


class Forwarder:
    """Forwards requests to targets, by their listener's rules.

    :param lifespans: those of the targets.
    :param draw: returns a random number from 0 up to 1, without 1, for weights.
    """

    def __init__(self, lifespans: Lifespans, draw: Callable[[], float]) -> None:
        self._lifespans = lifespans
        self._draw = draw

    def choose(self, exchange: Exchange) -> ASGIApp:
        """The target for a request, by the rule it matches. Its group is noted in the exchange.

        :raises RefusedError: if the rule is a fixed response.
        :raises TargetFailedError: if the target group has no targets.
        """
        assert exchange.listener is not None  # noqa: S101 - it was admitted
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
        """Call the target. Answer 500 or 502 if it fails before its response starts.

        :raises RefusedError: if the rule is a fixed response.
        :raises Exception: the target's, if its response had started.
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
                # The head is sent already: let the server cut the connection.
                exchange.note_failure("TargetConnectionClosed")
                raise
            service = exchange.service.name if exchange.service else ""
            if isinstance(error, TargetFailedError):
                _log.warning("the target of service %s failed: %s", service, error)
                status = error.status
                exchange.note_failure(error.failure)
            else:
                _log.exception("the target of service %s failed", service)
                exchange.note_failure("TargetConnectionError")
        else:
            if exchange.started and not exchange.ended:
                exchange.note_failure("TargetConnectionClosed")
            elif not exchange.started:
                exchange.note_failure("TargetProtocolError")
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
            if name not in _FILE_EXTENSIONS
        },
    }

"""The effects of faults on calls, one for each method of ``lattice.faults``.

``Fault`` decides which calls an effect strikes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from lattice_client.testing.access_log import FailureReason
from lattice_client.testing.asgi import Message, Send
from lattice_client.testing.data_plane.connection import Connection
from lattice_client.testing.data_plane.waiting import sleep
from lattice_client.testing.verification.canonical import PathEncoding

if TYPE_CHECKING:
    from lattice_client.testing.data_plane.exchange import Exchange

__all__ = [
    "Answer",
    "ConnectionLimit",
    "Effect",
    "Latency",
    "Reset",
    "SlowBody",
    "Stage",
    "VerifierOverride",
    "until_disconnected",
]

Stage: TypeAlias = Literal["before head", "mid head", "mid body"]

# Lattice's bodies, where known; a client should rely on the status alone.
_BODIES: Final = {status.value: status.phrase for status in HTTPStatus}
# Another 4xx has no failure reason: the target has not failed.
_FAILURES: Final[dict[int, FailureReason]] = {
    429: "ClientRateLimited",
    500: "TargetConnectionError",
    502: "InternalError",
    503: "InternalError",
    504: "TargetDataTimeout",
}


class Effect:
    """The effect of a fault on a call. The base does nothing.

    ``on_arrival`` says when it strikes: True before the call is verified, False when it is
    admitted, None never.
    """

    on_arrival: ClassVar[bool | None] = False
    skew = 0.0
    path_encoding: PathEncoding | None = None

    async def before_target(self, _exchange: Exchange) -> bool:
        """Act before the target is called. Return True if the target must not be called."""
        return False

    def wrap(self, send: Send, _cut: Callable[[], None]) -> Send:
        """Wrap ``send``, which takes the target's messages. ``cut`` resets the connection."""
        return send


@dataclass
class Latency(Effect):
    seconds: float

    async def before_target(self, exchange: Exchange) -> bool:
        if not await exchange.incoming.ends_within(self.seconds):
            return False
        await until_disconnected(exchange)
        return True


@dataclass
class Answer(Effect):
    status: int
    retry_after: float | None = None
    failure: FailureReason | None = None

    async def before_target(self, exchange: Exchange) -> bool:
        failure = self.failure or _FAILURES.get(self.status)
        if failure or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            exchange.note_failure(failure or "InternalError")
        retry_after = [] if self.retry_after is None else [_without_exponent(self.retry_after)]
        headers = [(b"retry-after", value) for value in retry_after]
        await exchange.answer(self.status, _BODIES.get(self.status, "Error"), headers)
        return True


@dataclass
class Reset(Effect):
    stage: Stage

    async def before_target(self, exchange: Exchange) -> bool:
        if self.stage == "mid body":
            exchange.note_failure("TargetConnectionClosed")
            return False
        exchange.note_failure("InternalError")
        part = b"HTTP/1.1 200 OK\r\ncontent-ty" if self.stage == "mid head" else b""
        Connection.of(exchange.scope).reset(part)
        await until_disconnected(exchange)
        return True

    def wrap(self, send: Send, reset: Callable[[], None]) -> Send:
        is_cut = False

        async def cut(message: Message) -> None:
            nonlocal is_cut
            body = message.get("body", b"")
            if is_cut:
                return
            if message["type"] != "http.response.body" or (message.get("more_body") and not body):
                await send(message)
                return
            if len(body) > 1:
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
            is_cut = True
            reset()

        return cut if self.stage == "mid body" else send


@dataclass
class SlowBody(Effect):
    seconds: float
    chunk: int

    def wrap(self, send: Send, _cut: Callable[[], None]) -> Send:
        async def slowly(message: Message) -> None:
            body = message.get("body", b"")
            while message["type"] == "http.response.body" and len(body) > self.chunk:
                await send({**message, "body": body[: self.chunk], "more_body": True})
                await sleep(self.seconds)
                body = body[self.chunk :]
            await send({**message, "body": body} if "body" in message else message)
            if message.get("more_body"):
                await sleep(self.seconds)

        return slowly


@dataclass
class VerifierOverride(Effect):
    on_arrival: ClassVar[bool | None] = True
    skew: float = 0.0
    path_encoding: PathEncoding | None = None


@dataclass
class ConnectionLimit(Effect):
    """A limit of connections; it strikes no call."""

    on_arrival: ClassVar[bool | None] = None
    name: Literal["idle", "lifetime"]
    seconds: float


async def until_disconnected(exchange: Exchange) -> None:
    """Wait until the exchange knows that the client is gone, or the server has noticed a reset.

    Returning earlier would count as a response that was never completed.
    """
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


def _without_exponent(number: float) -> bytes:
    """A number without an exponent, which ``Retry-After`` does not allow."""
    return f"{number:.6f}".rstrip("0").rstrip(".").encode()

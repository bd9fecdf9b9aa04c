"""What faults do to calls.

Each is one method of ``lattice.faults``. Which calls it strikes, and when, is the fault's part.
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
    "Effect",
    "Latency",
    "Limit",
    "Reset",
    "SlowBody",
    "Stage",
    "VerifierOverride",
    "until_disconnected",
]

Stage: TypeAlias = Literal["before head", "mid head", "mid body"]

# What Lattice says, where that is known; a client should look at the status alone.
_TEXTS: Final = {status.value: status.phrase for status in HTTPStatus}
# Of a target that answers with another 4xx nothing is said: it has not failed.
_FAILURES: Final[dict[int, FailureReason]] = {
    429: "ClientRateLimited",
    500: "TargetConnectionError",
    502: "InternalError",
    503: "InternalError",
    504: "TargetDataTimeout",
}


class Effect:
    """What a fault does to a call. This one does nothing.

    ``on_arrival`` says when it strikes: before the call is verified, or once it is let through;
    None is never.
    """

    on_arrival: ClassVar[bool | None] = False
    skew = 0.0
    path_encoding: PathEncoding | None = None

    async def instead(self, _exchange: Exchange) -> bool:
        """Done before the target is called; whether it is not to be called any more."""
        return False

    def wrap(self, send: Send, _cut: Callable[[], None]) -> Send:
        """What the target's messages go to in place of ``send``, which takes what really goes out;
        ``cut`` resets the connection."""
        return send


@dataclass
class Latency(Effect):
    seconds: float

    async def instead(self, exchange: Exchange) -> bool:
        if not await exchange.incoming.ends_within(self.seconds):
            return False
        await until_disconnected(exchange)
        return True


@dataclass
class Answer(Effect):
    status: int
    retry_after: float | None = None
    failure: FailureReason | None = None

    async def instead(self, exchange: Exchange) -> bool:
        failure = self.failure or _FAILURES.get(self.status)
        if failure or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            exchange.failed(failure or "InternalError")
        retry_after = [] if self.retry_after is None else [_plain(self.retry_after)]
        headers = [(b"retry-after", value) for value in retry_after]
        await exchange.answer(self.status, _TEXTS.get(self.status, "Error"), headers)
        return True


@dataclass
class Reset(Effect):
    stage: Stage

    async def instead(self, exchange: Exchange) -> bool:
        if self.stage == "mid body":
            exchange.failed("TargetConnectionClosed")
            return False
        exchange.failed("InternalError")
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
class Limit(Effect):
    """Strikes no call: it is of connections."""

    on_arrival: ClassVar[bool | None] = None
    name: Literal["idle", "lifetime"]
    seconds: float


async def until_disconnected(exchange: Exchange) -> None:
    """Until the exchange knows that the client is gone, or the server has noticed a reset: before,
    it would miss the rest of the response."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


def _plain(number: float) -> bytes:
    """Without an exponent, which no header has."""
    return f"{number:.6f}".rstrip("0").rstrip(".").encode()

"""The steps of a call, and the operations that a library provides for them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, Protocol

from lattice_client.retry.policy import Outcome

__all__ = ["Answer", "CallSteps", "LibraryOps", "Step"]

Step = Literal["sign", "send", "read", "remedy", "discard", "pause"]

CallSteps = Generator[tuple[Step, Any], Any, Any]

# A response, and how many seconds to wait for its body.
Answer = tuple[Any, float]


class LibraryOps(Protocol):
    """One library's operations on the request of one call. The first three do no I/O."""

    def attempt(self, request_id: str) -> Any:
        """A copy of the request to sign and send; its body is rewound before each retry."""
        ...

    def status(self, response: Any) -> int: ...

    def outcome(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001 a protocol
        """The outcome that an exception of ``send`` stands for; None if a retry cannot help."""
        ...

    # An asynchronous library returns an awaitable from each of these.

    def sign(self, attempt: Any, /) -> Any: ...

    def send(self, attempt: Any) -> Any: ...

    def read(self, answer: Answer) -> Any:
        """The body of a response, which stays readable; None if it does not arrive within the
        limits of ``lattice_client._wire.response_body``."""
        ...

    def remedy(self, refusal: tuple[Any, ...]) -> Any:
        """The remedy for a 403: ``RequestSigner.remedy`` or ``remedy_async`` of these arguments."""
        ...

    def discard(self, answer: Answer) -> Any:
        """Drop a response that the caller does not get. Its connection is reused if the body
        arrives within the limits, else closed."""
        ...

    def pause(self, seconds: float) -> Any: ...

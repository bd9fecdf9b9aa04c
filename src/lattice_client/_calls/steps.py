"""The steps of a call, and what a library does for each."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, Protocol

from lattice_client.retry.policy import Outcome

__all__ = ["Answer", "CallSteps", "LibraryOps", "Step"]


Step = Literal["sign", "send", "read", "remedy", "discard", "pause"]


CallSteps = Generator[tuple[Step, Any], Any, Any]


# A response, and for how many seconds its body may be waited for.
Answer = tuple[Any, float]


class LibraryOps(Protocol):
    """How one library handles the request of one call. The first three do no I/O."""

    def attempt(self, request_id: str) -> Any:
        """A copy of the request to sign and send; before another one, its body is rewound."""
        ...

    def status(self, response: Any) -> int: ...

    def failed(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001 a protocol
        """What an exception of ``send`` means; None where another attempt would meet it again."""
        ...

    # Each of these returns an awaitable in an asynchronous library.

    def sign(self, attempt: Any, /) -> Any: ...

    def send(self, attempt: Any) -> Any: ...

    def read(self, answer: Answer) -> Any:
        """The body of a response, which stays readable; None where it does not come within the
        limits (``lattice_client._wire.requests_response``)."""
        ...

    def remedy(self, refusal: tuple[Any, ...]) -> Any:
        """What to sign with after a 403: ``auth.remedy`` or ``auth.remedy_async`` of these."""
        ...

    def discard(self, answer: Answer) -> Any:
        """Let go of a response that is not handed out. Its connection is used again where its body
        comes within the limits, else closed."""
        ...

    def pause(self, seconds: float) -> Any: ...

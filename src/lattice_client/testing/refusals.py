"""The refusals that callers see, word for word where the words are known.

VPC Lattice answers with a status and a plain-text body. The texts of ``access_denied`` and of the
two payload refusals are published; for the rest these are SigV4's usual texts, as other AWS
services word them. No text repeats a token or a signature.
"""

from __future__ import annotations

from lattice_client.testing.access_log import FailureReason

__all__ = [
    "RefusedError",
    "TargetFailedError",
    "access_denied",
    "expired_token",
    "incomplete_signature",
    "invalid_signature",
    "malformed",
    "missing_token",
    "not_found",
    "unrecognized_client",
]


class RefusedError(Exception):
    """A request that Lattice itself answers, with ``status`` and the plain-text body ``text``.

    ``failure`` is the reason that the access log gives. ``canonical_request`` and
    ``string_to_sign`` are what the verifier calculated, where it got that far: compare them with
    the signer's to find out where the two part. They hold the session token, so neither stands in
    ``str()`` or ``repr()``. ``closes`` says that nothing after it is to be believed: the connection
    is closed.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        failure: FailureReason | None = None,
        canonical_request: str | None = None,
        string_to_sign: str | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(text)
        self.closes = closes
        self.status = status
        self.text = text
        self.failure: FailureReason | None = failure
        self.canonical_request = canonical_request
        self.string_to_sign = string_to_sign


def invalid_signature(
    text: str, *, canonical_request: str | None = None, string_to_sign: str | None = None
) -> RefusedError:
    """A signature that is all there, and wrong."""
    return _forbidden(
        f"InvalidSignatureException: {text}",
        canonical_request=canonical_request,
        string_to_sign=string_to_sign,
    )


def incomplete_signature(text: str) -> RefusedError:
    """A signature with a part missing or malformed. 403 as seen at Lattice; elsewhere it is 400."""
    return _forbidden(f"IncompleteSignatureException: {text}")


def unrecognized_client() -> RefusedError:
    """An access key that nobody has, or a session token that does not belong to it."""
    return _forbidden(
        "UnrecognizedClientException: The security token included in the request is invalid."
    )


def expired_token() -> RefusedError:
    """Credentials that were good once."""
    return _forbidden(
        "ExpiredTokenException: The security token included in the request is expired"
    )


def missing_token() -> RefusedError:
    """No signature, where only a signed request will do."""
    return _forbidden("MissingAuthenticationTokenException: Missing Authentication Token")


def access_denied(user: str, action: str, resource: str, because: str) -> RefusedError:
    """A caller whom a policy does not let through.

    :param user: the caller's ARN, or ``anonymous``.
    :param because: the closing words, which name the policy's layer.
    """
    return _forbidden(
        f"AccessDeniedException: User: {user} is not authorized to perform: {action} "
        f"on resource: {resource} {because}"
    )


def malformed(text: str, *, closes: bool = False) -> RefusedError:
    """A request that is no proper HTTP request, or is over Lattice's limits."""
    return RefusedError(400, f"Bad Request: {text}", failure="ClientProtocolError", closes=closes)


def not_found() -> RefusedError:
    """A host name that no service answers to."""
    return RefusedError(404, "Not Found")


def _forbidden(
    text: str, *, canonical_request: str | None = None, string_to_sign: str | None = None
) -> RefusedError:
    return RefusedError(
        403,
        text,
        failure="ClientAccessDenied",
        canonical_request=canonical_request,
        string_to_sign=string_to_sign,
    )


class TargetFailedError(Exception):
    """A target that could not be asked, or whose answer is none: Lattice answers instead.

    :param status: what the client is told: 500 where the target could not be reached ("Error
        codes", VPC Lattice User Guide), 502 for the rest, which is inferred.
    :param failure: the access log's ``failureReason``.
    """

    def __init__(self, message: str, *, status: int, failure: FailureReason) -> None:
        super().__init__(message)
        self.status = status
        self.failure: FailureReason = failure

"""The answers with which Lattice refuses a request, and the failures of targets.

VPC Lattice answers with a status and a plain-text body. The texts of ``access_denied`` and of the
two payload refusals are published; the others are SigV4's usual texts, as other AWS services word
them. No text repeats a token or a signature.
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

    ``failure`` is the reason in the access log. ``canonical_request`` and ``string_to_sign`` are
    what the verifier calculated, if it got that far: compare them with the signer's to find the
    first difference. They hold the session token, so ``str()`` and ``repr()`` leave them out.
    ``closes`` says that the connection is closed, because what follows cannot be trusted.
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
    """The signature is complete, and wrong."""
    return _forbidden(
        f"InvalidSignatureException: {text}",
        canonical_request=canonical_request,
        string_to_sign=string_to_sign,
    )


def incomplete_signature(text: str) -> RefusedError:
    """A part of the signature is missing or malformed. Lattice answers 403, other services 400."""
    return _forbidden(f"IncompleteSignatureException: {text}")


def unrecognized_client() -> RefusedError:
    """The access key is unknown, or the session token does not belong to it."""
    return _forbidden(
        "UnrecognizedClientException: The security token included in the request is invalid."
    )


def expired_token() -> RefusedError:
    """The credentials have expired."""
    return _forbidden(
        "ExpiredTokenException: The security token included in the request is expired"
    )


def missing_token() -> RefusedError:
    """The request is not signed, and has to be."""
    return _forbidden("MissingAuthenticationTokenException: Missing Authentication Token")


def access_denied(user: str, action: str, resource: str, because: str) -> RefusedError:
    """A policy denies the request.

    :param user: the caller's ARN, or ``anonymous``.
    :param because: the closing words, which name the policy's layer.
    """
    return _forbidden(
        f"AccessDeniedException: User: {user} is not authorized to perform: {action} "
        f"on resource: {resource} {because}"
    )


def malformed(text: str, *, closes: bool = False) -> RefusedError:
    """The request is malformed HTTP, or exceeds Lattice's limits."""
    return RefusedError(400, f"Bad Request: {text}", failure="ClientProtocolError", closes=closes)


def not_found() -> RefusedError:
    """No service has the host name."""
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
    """A target could not be reached, or its answer is not valid: Lattice answers instead.

    :param status: the client's status: 500 if the target could not be reached ("Error codes", VPC
        Lattice User Guide), 502 for the rest, which is inferred.
    :param failure: the access log's ``failureReason``.
    """

    def __init__(self, message: str, *, status: int, failure: FailureReason) -> None:
        super().__init__(message)
        self.status = status
        self.failure: FailureReason = failure

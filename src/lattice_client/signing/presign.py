"""Signatures in the query string: for links, and where the Authorization header is in use.

"Create a signed AWS API request" (IAM User Guide), the part on query strings. VPC Lattice requires
``x-amz-content-sha256`` as a signed header here too, so a caller has to send the headers that
:func:`presign` returns along with the new target.
"""

from __future__ import annotations

from datetime import datetime

from lattice_client.errors import SigningError
from lattice_client.signing.canonical import HeaderPairs, canonical_headers, canonical_request
from lattice_client.signing.signer import Signer, hash_of

__all__ = ["DEFAULT_EXPIRES", "MAX_EXPIRES", "Presigned", "presign"]

# Seconds. As long as a signature in the headers is valid.
DEFAULT_EXPIRES = 300
# Seconds: seven days ("Query string parameters", the same page).
MAX_EXPIRES = 604_800

_SIGNATURE_PARAMETERS = frozenset((
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Region-Set",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
))  # fmt: skip


class Presigned:
    """A target with a signature in its query.

    :param target: the path and query to send.
    :param headers: the headers to send with it.
    :param canonical_request: what was hashed. It holds the session token.
    :param string_to_sign: what was signed.
    """

    __slots__ = ("canonical_request", "headers", "string_to_sign", "target")

    def __init__(
        self, target: str, headers: dict[str, str], canonical_request: str, string_to_sign: str
    ) -> None:
        self.target = target
        self.headers = headers
        self.canonical_request = canonical_request
        self.string_to_sign = string_to_sign

    def __repr__(self) -> str:
        # The query holds the signature and the session token.
        return f"Presigned(target={self.target.partition('?')[0] + '?…'!r})"


def presign(
    signer: Signer,
    method: str,
    host: str,
    target: str,
    headers: HeaderPairs = (),
    *,
    payload_hash: str | None = None,
    expires: int = DEFAULT_EXPIRES,
    now: float | datetime | None = None,
) -> Presigned:
    """Sign a request in its query string; an earlier signature there is replaced.

    :param signer: a SigV4 or SigV4A signer; the other arguments are those of its ``sign()``.
    :param payload_hash: as of ``sign()``. For S3 it is ignored: the payload is never signed
        ("Authenticating Requests: Using Query Parameters", S3 API Reference).
    :param expires: for how many seconds from ``now`` the signature holds, 1 to 604,800. It does not
        outlive the credentials.
    :raises SigningError: for what cannot be signed as it stands.
    """
    if type(expires) is not int or not 1 <= expires <= MAX_EXPIRES:
        raise SigningError(
            f"expires must be whole seconds, an int from 1 to {MAX_EXPIRES}, not {expires!r}"
        )
    signer.check(method, host)
    context = signer.context_at(now)
    payload, sent = signer.query_payload(payload_hash)
    names, block = canonical_headers({"host": host, **sent, **signer.selected(headers)})
    parameters = {
        "X-Amz-Algorithm": signer.algorithm,
        "X-Amz-Credential": f"{signer.access_key}/{context.scope}",
        "X-Amz-Date": context.amz_date,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": names,
        **signer.query_parameters(),
    }
    if signer.token:
        parameters["X-Amz-Security-Token"] = signer.token
    target = _with(without_signature(target), parameters)
    request = canonical_request(method, signer.target_lines(target), block, names, payload)
    request_hash = hash_of(request)
    signature = context.key.signature(request_hash)
    return Presigned(
        f"{target}&X-Amz-Signature={signature}",
        sent,
        request.decode("latin-1"),
        context.string_to_sign_prefix + request_hash,
    )


def without_signature(target: str) -> str:
    """The target without the parameters of a signature."""
    path, mark, query = target.partition("?")
    if "X-Amz-" not in query:
        return target
    kept = [
        piece for piece in query.split("&") if piece.partition("=")[0] not in _SIGNATURE_PARAMETERS
    ]
    return f"{path}{mark}{'&'.join(kept)}" if kept else path


def _with(target: str, parameters: dict[str, str]) -> str:
    from urllib.parse import quote

    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    _, mark, query = target.partition("?")
    if not mark:
        return f"{target}?{added}"
    return f"{target}&{added}" if query and not query.endswith("&") else f"{target}{added}"

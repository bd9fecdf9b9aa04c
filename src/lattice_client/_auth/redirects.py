"""Redirect safety: which requests a redirect has led astray, and what these must lose.

What follows a redirect to another origin (scheme, host and port) than those that its call was made
to goes out without credentials. Each client remembers these origins in its own way:
``_requests/redirects.py``, ``_httpx/transport.py``, ``_wire/aiohttp.py`` (also for its hook). The
hook of requests removes the signature at every redirect (``_auth/requests_hook.py``). The hooks of
httpx do not see redirects.
"""

from __future__ import annotations

from collections.abc import Collection

from lattice_client._auth.signer_cache import SignerCache
from lattice_client._wire.headers import strip_signature
from lattice_client._wire.request import SignableRequest
from lattice_client.signing.presign import without_signature

__all__ = ["is_foreign", "strip_credentials"]


def is_foreign(origin: object, allowed_origins: Collection[object]) -> bool:
    """Whether a redirect leads away from the origins that its call was made to."""
    return origin not in allowed_origins


def strip_credentials(
    request: SignableRequest, signers: SignerCache, moved_authorization: str | None
) -> None:
    """Remove ``x-amz-*`` headers and Authorization, and a signature of these signers in the query,
    which the redirecting server may have repeated.

    :param moved_authorization: the header that Authorization is moved to.
    """
    strip_signature(request.request.headers, moved_authorization)
    if "X-Amz-Credential=" in request.target and signers.has_signed(request.target):
        request.set_target(without_signature(request.target))

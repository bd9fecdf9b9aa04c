"""The outgoing request of each HTTP library: read as it will go on the wire, and written back.

No library is imported here: their requests are told apart by their shape, so one auth object serves
all of them, in whichever order they are imported.
"""

from __future__ import annotations

from typing import Any

from lattice_client._wire.aiohttp import AiohttpRequest
from lattice_client._wire.httpx import (
    HttpxRequest,
)
from lattice_client._wire.request import SignableRequest
from lattice_client._wire.requests import RequestsRequest

__all__ = ["wrap_request"]


def wrap_request(request: Any) -> SignableRequest:
    """The request of any of the libraries.

    :raises TypeError: for anything else.
    :raises InvalidHeaderError: for a relative URL, which httpx takes.
    """
    url = getattr(request, "url", None)
    if isinstance(url, str):
        try:
            return RequestsRequest(request)
        except AttributeError:  # to look first would take the URL apart once more
            if hasattr(type(request), "path_url"):
                raise
    if hasattr(url, "raw_path_qs"):
        return AiohttpRequest(request)
    if hasattr(url, "raw_path"):
        return HttpxRequest(request)
    raise TypeError(
        f"{type(request).__name__} is no request of requests (a prepared one), httpx, httpx2 or "
        "aiohttp; to sign anything else, call lattice_client.signing.SigV4Signer"
    )

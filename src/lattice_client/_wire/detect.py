"""Which library a request is of.

Requests are told apart by their shape, and no library is imported. So one auth object serves all
libraries, in whichever order they are imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lattice_client._wire.request import SignableRequest

__all__ = ["wrap_request"]


def wrap_request(request: Any) -> SignableRequest:
    """The request of any of the libraries.

    :raises TypeError: for anything else.
    :raises InvalidHeaderError: for a relative URL, which httpx accepts.
    """
    url = getattr(request, "url", None)
    if isinstance(url, str):
        try:
            if hasattr(type(request), "oheaders"):
                return _wrapper("niquests", "NiquestsRequest")(request)
            return _wrapper("requests", "RequestsRequest")(request)
        except AttributeError:  # checking first would parse the URL twice
            if hasattr(type(request), "path_url"):
                raise
    if hasattr(url, "raw_path_qs"):
        return _wrapper("aiohttp", "AiohttpRequest")(request)
    if hasattr(url, "raw_path"):
        return _wrapper("httpx", "HttpxRequest")(request)
    raise TypeError(
        f"{type(request).__name__} is no request of requests or niquests (a prepared one), "
        "httpx, httpx2 or aiohttp; to sign anything else, call lattice_client.signing.SigV4Signer"
    )


_wrappers: dict[str, Callable[[Any], SignableRequest]] = {}


def _wrapper(module: str, name: str) -> Callable[[Any], SignableRequest]:
    """A library's class, from the file that the library's first request loads."""
    wrapper = _wrappers.get(module)
    if wrapper is None:
        from importlib import import_module

        wrapper = getattr(import_module(f"lattice_client._wire.{module}"), name)
        _wrappers[module] = wrapper
    return wrapper

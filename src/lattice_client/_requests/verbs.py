"""The methods of requests' session, for type checkers: each takes ``retry=`` too.

The types of the arguments have private names, which differ between requests and types-requests. So
these here are loose where no public type fits; the names are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

__all__ = ["TypedSession"]

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypedDict, Unpack

    from lattice_client.retry.policy import RetryPolicy

    class _Arguments(TypedDict, total=False):
        params: Any
        headers: Mapping[str, str | bytes | None] | None
        cookies: Any
        files: Any
        auth: Any
        timeout: float | tuple[float | None, float | None] | None
        allow_redirects: bool
        proxies: Any
        hooks: Any
        stream: bool | None
        verify: bool | str | None
        cert: str | tuple[str, str] | None
        retry: RetryPolicy | None

    class _WithJson(_Arguments, total=False):
        json: Any

    class _WithBody(_WithJson, total=False):
        data: Any

    class TypedSession(requests.Session):
        def get(self, url: str | bytes, **arguments: Unpack[_WithBody]) -> requests.Response: ...
        def options(
            self, url: str | bytes, **arguments: Unpack[_WithBody]
        ) -> requests.Response: ...
        def head(self, url: str | bytes, **arguments: Unpack[_WithBody]) -> requests.Response: ...
        def delete(self, url: str | bytes, **arguments: Unpack[_WithBody]) -> requests.Response: ...
        def post(
            self,
            url: str | bytes,
            data: Any = None,
            json: Any = None,
            **arguments: Unpack[_Arguments],
        ) -> requests.Response: ...
        def put(
            self, url: str | bytes, data: Any = None, **arguments: Unpack[_WithJson]
        ) -> requests.Response: ...
        def patch(
            self, url: str | bytes, data: Any = None, **arguments: Unpack[_WithJson]
        ) -> requests.Response: ...

else:
    TypedSession = requests.Session

"""requests: the session, the adapter that signs each attempt, and its connection pools."""

from __future__ import annotations

from lattice_client.errors import MissingExtraError

try:
    import requests  # noqa: F401 the modules of this package need it
except ModuleNotFoundError as error:
    if error.name != "requests":
        raise
    raise MissingExtraError("requests", "requests") from None

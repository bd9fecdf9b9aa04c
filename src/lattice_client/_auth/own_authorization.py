"""What becomes of the caller's own ``Authorization``, whose place the signature takes.

A signature in the header replaces it. It is kept under another name if the auth object says so
(``move_authorization_to``); else its loss is logged.
"""

from __future__ import annotations

from lattice_client._auth.seen_hosts import SeenHosts
from lattice_client._wire.request import SignableRequest
from lattice_client.errors import ConfigurationError, InvalidHeaderError
from lattice_client.signing import SIGNATURE_HEADERS
from lattice_client.signing.validation import NEVER_SIGNED, check_header, check_str

__all__ = ["OwnAuthorization", "check_new_name", "move_back"]

# Headers that have a meaning already, in lower case, each with the reason. Those that proxies
# change (NEVER_SIGNED) would not arrive.
_TAKEN = {
    **NEVER_SIGNED,
    **dict.fromkeys(SIGNATURE_HEADERS, "the signature sets it"),
    # "HTTP targets in VPC Lattice", VPC Lattice User Guide.
    **dict.fromkeys(
        ("x-amzn-requestid", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"),
        "VPC Lattice writes it",
    ),
    "cookie": "it holds the cookies",
    "host": "it names the service",
}
_TAKEN_PREFIXES = {"content-": "it describes the body", "x-amzn-lattice-": "VPC Lattice writes it"}


def check_new_name(name: object, placement: str) -> str | None:
    """The value of an auth object's ``move_authorization_to=``.

    :raises ConfigurationError: for what is no header's name, for a header that has a meaning
        already, and where the signature stands in the query and nothing has to move.
    """
    if name is None:
        return None
    if placement == "query":
        raise ConfigurationError(
            "move_authorization_to goes with placement='header': a signature in the query leaves "
            "Authorization as it is"
        )
    try:
        check_str("a header's name", name)
        header = str(name)
        check_header(header, "")
    except InvalidHeaderError:
        # Its value is not shown: it may be a token, given by mistake.
        raise ConfigurationError(
            "move_authorization_to must be the name of a header, such as "
            "'X-Forwarded-Authorization'"
        ) from None
    lowered = header.lower()
    reason = _TAKEN.get(lowered) or next(
        (why for prefix, why in _TAKEN_PREFIXES.items() if lowered.startswith(prefix)), None
    )
    if reason is not None:
        raise ConfigurationError(
            f"move_authorization_to cannot be {lowered!r}: {reason}; give another name, such as "
            "'X-Forwarded-Authorization'"
        )
    return header


class OwnAuthorization:
    """Moves the caller's own ``Authorization``, or logs at WARNING that it is replaced, once for
    each host.

    :param new_name: the header to move it to. None: it is replaced.
    """

    def __init__(self, new_name: str | None) -> None:
        self._new_name = new_name
        self._logged = SeenHosts()

    def give_way(self, out: SignableRequest, own: str | bytes) -> None:
        """Prepare a request with this ``Authorization`` for a signature in its place. A header that
        has the new name already is replaced."""
        if self._new_name is not None:
            out.set_header(self._new_name, own)
        elif self._logged.is_new(out.host):
            from lattice_client._log import get_logger  # deferred: most processes lose no header

            get_logger("auth").warning(
                "the signature replaces the Authorization header that requests to %s have already, "
                'and the service does not get it: sign with placement="query" to leave it where '
                "it is, or keep it under another name with "
                'move_authorization_to="X-Forwarded-Authorization"',
                out.host,
            )


def move_back(out: SignableRequest, new_name: str) -> None:
    """Give the caller's own ``Authorization`` its name again, on a request that is not signed after
    all: a hook without names above a client with names has signed it, or its name has moved."""
    headers = out.request.headers
    own = headers.get(new_name)
    if own is not None:
        del headers[new_name]
        out.set_header("Authorization", own)

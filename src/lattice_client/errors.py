"""Everything that lattice_client raises.

    LatticeClientError
    ├── ConfigurationError (ValueError)        an argument or a setting cannot work
    │   └── RegionError                        no region to sign for was found
    ├── MissingExtraError (ImportError)        an optional library is not installed
    ├── CredentialsError                       no credentials to sign with, or unusable ones
    │   ├── InvalidCredentialsError (ValueError)   incomplete or malformed credentials
    │   ├── NoCredentialsError                 no source has any
    │   └── ExpiredCredentialsError            the only credentials have expired
    ├── SigningError (ValueError)              a request cannot be signed as it is
    │   ├── InvalidHeaderError                 a header, method, host or target is not valid HTTP
    │   └── UnsignablePayloadError             a body cannot be hashed and then still be sent
    ├── NameSourceError                        no source could look a name up
    ├── NotLatticeError                        a name is not VPC Lattice's, in strict mode
    └── DeniedError                            a response is a refusal; only on request

No message contains a secret, a session token or a signature: it names the field at fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.denial.model import Denial

__all__ = [
    "ConfigurationError",
    "CredentialsError",
    "DeniedError",
    "ExpiredCredentialsError",
    "InvalidCredentialsError",
    "InvalidHeaderError",
    "LatticeClientError",
    "MissingExtraError",
    "NameSourceError",
    "NoCredentialsError",
    "NotLatticeError",
    "RegionError",
    "SigningError",
    "UnsignablePayloadError",
]


class LatticeClientError(Exception):
    """The base class of all errors that this package raises."""


class ConfigurationError(LatticeClientError, ValueError):
    """An argument or a setting cannot work. The message names it and the choices."""


class RegionError(ConfigurationError):
    """No region to sign for in the arguments, the host name or the environment, or an invalid
    one."""


class MissingExtraError(LatticeClientError, ImportError):
    """An optional library is not installed, or in a version that is another library.

    ``extra`` is the extra of this package that installs it, ``found`` the version that does not
    fit.
    """

    def __init__(self, extra: str, library: str, found: str | None = None) -> None:
        wrong = (
            "is not installed; it comes with"
            if found is None
            else f"{found} is another library than the one this package is for, which comes with"
        )
        super().__init__(
            f"{library} {wrong} the extra {extra!r}: pip install 'vpc-lattice-client[{extra}]'",
            name=library,
        )
        self.extra = extra
        self.library = library
        self.found = found

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str | None]]:
        return type(self), (self.extra, self.library, self.found)


class CredentialsError(LatticeClientError):
    """There are no credentials to sign with, or they are unusable."""


class InvalidCredentialsError(CredentialsError, ValueError):
    """Credentials are incomplete or malformed. The message names the field, not its value."""


class NoCredentialsError(CredentialsError):
    """No source of credentials has any."""


class ExpiredCredentialsError(CredentialsError):
    """The credentials have expired and could not be renewed."""


class NameSourceError(LatticeClientError):
    """No source could look a name up, and no earlier answer is cached."""


class NotLatticeError(LatticeClientError):
    """A name is not VPC Lattice's, and ``strict`` allows no others."""


class SigningError(LatticeClientError, ValueError):
    """A request cannot be signed as it is."""


class InvalidHeaderError(SigningError):
    """A method, host, target or header must not be sent (CR, LF, NUL, non-ASCII)."""


class UnsignablePayloadError(SigningError):
    """The service requires the body's hash, and hashing would consume the body."""


class DeniedError(LatticeClientError):
    """A request was refused. ``denial`` says why, and what to do about it.

    Only ``raise_for_denial()`` raises it.
    """

    def __init__(self, denial: Denial) -> None:
        super().__init__(str(denial))
        self.denial = denial

    def __reduce__(self) -> tuple[type[DeniedError], tuple[Denial]]:
        return type(self), (self.denial,)

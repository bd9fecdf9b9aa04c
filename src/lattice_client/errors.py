"""Everything that lattice_client raises.

    LatticeClientError
    ├── ConfigurationError (ValueError)        an argument or a setting that cannot work
    │   └── RegionError                        no region to sign for could be found
    ├── MissingExtraError (ImportError)        an optional library is not installed
    ├── CredentialsError                       no credentials to sign with, or unusable ones
    │   ├── InvalidCredentialsError (ValueError)   half-configured or malformed
    │   ├── NoCredentialsError                 no source has any
    │   └── ExpiredCredentialsError            the only ones there are have expired
    ├── SigningError (ValueError)              a request that cannot be signed as it stands
    │   ├── InvalidHeaderError                 a header (or method, host, target) that is no HTTP
    │   └── UnsignablePayloadError             a body that cannot be hashed and then still be sent
    ├── NameSourceError                        a name could be looked up nowhere
    ├── NotLatticeError                        a name that is not Lattice's, in strict mode
    └── DeniedError                            a response that refuses, for those who ask for errors

No message holds a secret, a session token or a signature: the errors name the field at fault.
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
    """The root: catch this one to catch everything that this package raises."""


class ConfigurationError(LatticeClientError, ValueError):
    """An argument or a setting cannot work; the message names it and the choices."""


class RegionError(ConfigurationError):
    """Neither the arguments, the host name nor the environment say which region to sign for, or
    what they say is no region."""


class MissingExtraError(LatticeClientError, ImportError):
    """An optional library is not installed.

    ``extra`` is the extra of this package that brings it.
    """

    def __init__(self, extra: str, library: str) -> None:
        super().__init__(
            f"{library} is not installed; it comes with the extra {extra!r}: "
            f"pip install 'vpc-lattice-client[{extra}]'",
            name=library,
        )
        self.extra = extra
        self.library = library

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.extra, self.library)


class CredentialsError(LatticeClientError):
    """There are no credentials to sign with, or they cannot be used."""


class InvalidCredentialsError(CredentialsError, ValueError):
    """Credentials that are half there or malformed; the message names the field, not its value."""


class NoCredentialsError(CredentialsError):
    """No source of credentials has any."""


class ExpiredCredentialsError(CredentialsError):
    """The credentials have expired and could not be renewed."""


class NameSourceError(LatticeClientError):
    """No source of names could be asked about a name, and nothing about it is remembered."""


class NotLatticeError(LatticeClientError):
    """A name turned out not to be VPC Lattice's, and only such are to be called (``strict``)."""


class SigningError(LatticeClientError, ValueError):
    """A request that cannot be signed as it stands."""


class InvalidHeaderError(SigningError):
    """A method, host, target or header that must not go on the wire (CR, LF, NUL, non-ASCII)."""


class UnsignablePayloadError(SigningError):
    """The service wants the body's hash, and hashing the body would use it up."""


class DeniedError(LatticeClientError):
    """A request was refused; ``denial`` says why, and what to do about it.

    Only ``raise_for_denial()`` raises it.
    """

    def __init__(self, denial: Denial) -> None:
        super().__init__(str(denial))
        self.denial = denial

    def __reduce__(self) -> tuple[type[DeniedError], tuple[Denial]]:
        return type(self), (self.denial,)

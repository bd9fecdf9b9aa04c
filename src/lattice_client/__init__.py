"""Signed calls to services behind Amazon VPC Lattice, from requests, httpx, httpx2 and aiohttp.

Importing this module imports no other public one: each public name is loaded on first use.
"""

from lattice_client._lazy import lazy_exports as _lazy_exports

# Type checkers know this constant by its name; importing typing takes 8 to 13 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from lattice_client._version import __version__ as __version__
    from lattice_client.auth import LatticeAuth as LatticeAuth
    from lattice_client.auth import SigV4Auth as SigV4Auth
    from lattice_client.credentials import AssumeRole as AssumeRole
    from lattice_client.credentials import BotocoreCredentials as BotocoreCredentials
    from lattice_client.credentials import Credentials as Credentials
    from lattice_client.credentials import CredentialsProvider as CredentialsProvider
    from lattice_client.credentials import DefaultCredentials as DefaultCredentials
    from lattice_client.credentials import EnvironmentCredentials as EnvironmentCredentials
    from lattice_client.credentials import RefreshingCredentials as RefreshingCredentials
    from lattice_client.credentials import StaticCredentials as StaticCredentials
    from lattice_client.denial.explanation import explain as explain
    from lattice_client.denial.explanation import raise_for_denial as raise_for_denial
    from lattice_client.denial.model import Denial as Denial
    from lattice_client.errors import ConfigurationError as ConfigurationError
    from lattice_client.errors import CredentialsError as CredentialsError
    from lattice_client.errors import DeniedError as DeniedError
    from lattice_client.errors import ExpiredCredentialsError as ExpiredCredentialsError
    from lattice_client.errors import InvalidCredentialsError as InvalidCredentialsError
    from lattice_client.errors import InvalidHeaderError as InvalidHeaderError
    from lattice_client.errors import LatticeClientError as LatticeClientError
    from lattice_client.errors import MissingExtraError as MissingExtraError
    from lattice_client.errors import NameSourceError as NameSourceError
    from lattice_client.errors import NoCredentialsError as NoCredentialsError
    from lattice_client.errors import NotLatticeError as NotLatticeError
    from lattice_client.errors import RegionError as RegionError
    from lattice_client.errors import SigningError as SigningError
    from lattice_client.errors import UnsignablePayloadError as UnsignablePayloadError
    from lattice_client.names import Endpoint as Endpoint
    from lattice_client.names import Names as Names
    from lattice_client.retry.policy import RetryPolicy as RetryPolicy

_MODULE_OF = {
    "AssumeRole": "credentials",
    "BotocoreCredentials": "credentials",
    "ConfigurationError": "errors",
    "Credentials": "credentials",
    "CredentialsError": "errors",
    "CredentialsProvider": "credentials",
    "DefaultCredentials": "credentials",
    "Denial": "denial.model",
    "DeniedError": "errors",
    "Endpoint": "names",
    "EnvironmentCredentials": "credentials",
    "ExpiredCredentialsError": "errors",
    "InvalidCredentialsError": "errors",
    "InvalidHeaderError": "errors",
    "LatticeAuth": "auth",
    "LatticeClientError": "errors",
    "MissingExtraError": "errors",
    "NameSourceError": "errors",
    "Names": "names",
    "NoCredentialsError": "errors",
    "NotLatticeError": "errors",
    "RefreshingCredentials": "credentials",
    "RegionError": "errors",
    "RetryPolicy": "retry.policy",
    "SigV4Auth": "auth",
    "SigningError": "errors",
    "StaticCredentials": "credentials",
    "UnsignablePayloadError": "errors",
    "__version__": "_version",
    "explain": "denial.explanation",
    "raise_for_denial": "denial.explanation",
}

# The clients' names, which many look for here first.
_ELSEWHERE = {
    "Adapter": ("requests",),
    "AsyncClient": ("httpx", "httpx2"),
    "AsyncTransport": ("httpx", "httpx2"),
    "Client": ("httpx", "httpx2"),
    "Session": ("requests",),
    "Transport": ("httpx", "httpx2"),
    "client_session": ("aiohttp",),
    "middleware": ("aiohttp",),
}

__all__ = [
    "AssumeRole",
    "BotocoreCredentials",
    "ConfigurationError",
    "Credentials",
    "CredentialsError",
    "CredentialsProvider",
    "DefaultCredentials",
    "Denial",
    "DeniedError",
    "Endpoint",
    "EnvironmentCredentials",
    "ExpiredCredentialsError",
    "InvalidCredentialsError",
    "InvalidHeaderError",
    "LatticeAuth",
    "LatticeClientError",
    "MissingExtraError",
    "NameSourceError",
    "Names",
    "NoCredentialsError",
    "NotLatticeError",
    "RefreshingCredentials",
    "RegionError",
    "RetryPolicy",
    "SigV4Auth",
    "SigningError",
    "StaticCredentials",
    "UnsignablePayloadError",
    "__version__",
    "explain",
    "raise_for_denial",
]

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF, _ELSEWHERE)
